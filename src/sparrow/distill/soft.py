"""Soft distillation: match all of the teacher's probabilities, not only its choice."""

from torch import Tensor

__all__ = ["forward_kl", "reverse_kl", "surprise"]


def surprise(student: Tensor, chosen: Tensor) -> Tensor:
    """The hard target: how little the student expected each token the teacher wrote.

    In the mean over all that a teacher may write, it is `forward_kl` and the teacher's
    own entropy, which no student can change.

    Args:
        student: scores of every token, from the model that learns.
        chosen: the token that the teacher wrote there.

    Shapes:
        student: [..., V]; chosen: [...]; returns [...], in nats.
    """
    # 1. Log-probabilities of all tokens, in float32.
    given = student.float().log_softmax(dim=-1)
    # 2. Of each place, the one of the token that was chosen.
    found = given.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
    # 3. A surprise is large where a probability is small.
    return -found


def forward_kl(teacher: Tensor, student: Tensor, *, temperature: float = 1.0) -> Tensor:
    """KL(teacher ‖ student) at each place: the student must cover all the teacher does.

    Args:
        teacher: scores of every token, from the model that teaches.
        student: the same, from the model that learns.
        temperature: above 1 both are flattened, and unlikely tokens count more.

    Shapes:
        both [..., V]; returns [...], in nats.

    Source: Hinton, Vinyals and Dean, arXiv:1503.02531, section 2.
    """
    # 1. Log-probabilities of both, flattened alike, in float32.
    wanted = (teacher.float() / temperature).log_softmax(dim=-1)
    given = (student.float() / temperature).log_softmax(dim=-1)
    # 2. The mean of their difference, as often as the teacher would choose each token.
    return (wanted.exp() * (wanted - given)).sum(dim=-1)


def reverse_kl(teacher: Tensor, student: Tensor, *, temperature: float = 1.0) -> Tensor:
    """KL(student ‖ teacher): the student must not do what the teacher would not.

    Args and shapes as in `forward_kl`.

    Source: Gu et al., arXiv:2306.08543, section 2.1.
    """
    # 1. Log-probabilities of both, flattened alike, in float32.
    wanted = (teacher.float() / temperature).log_softmax(dim=-1)
    given = (student.float() / temperature).log_softmax(dim=-1)
    # 2. The mean of their difference, as often as the student would choose each token.
    return (given.exp() * (given - wanted)).sum(dim=-1)
