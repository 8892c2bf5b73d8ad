"""Keep a model in a quarter or an eighth of its bytes, and know what that costs."""

from sparrow.quant.convert import is_quantized, quantize
from sparrow.quant.linear import QuantizedLinear
from sparrow.quant.scheme import SCHEMES, Scheme
from sparrow.quant.stored import is_stored, load, open_model, save

__all__ = [
    "SCHEMES",
    "QuantizedLinear",
    "Scheme",
    "is_quantized",
    "is_stored",
    "load",
    "open_model",
    "quantize",
    "save",
]
