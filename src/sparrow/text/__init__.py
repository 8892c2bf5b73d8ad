"""Text to tokens and back, and conversations as models expect them."""

from sparrow.text.tokenizer import Message, Tokenizer

__all__ = ["Message", "Tokenizer"]
