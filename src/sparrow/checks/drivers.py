"""A driver applies the learner's object to a case and answers with plain data.

Drivers run beside the submission, inside the sandbox. So they hold no expected
values, and nothing here decides whether an answer is right.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from sparrow.checks import (
    by_bits,
    by_imitation,
    by_judging,
    by_reward,
    by_serving,
    by_teaching,
    by_tokens,
    left_behind,
    power_cut,
)
from sparrow.checks.protocol import Plain, copied, plain
from sparrow.errors import CheckError
from sparrow.language import _

__all__ = ["DRIVERS", "Driver", "drive"]

Driver: TypeAlias = Callable[[Any, dict[str, Any]], Plain]


def call(function: Any, inputs: dict[str, Any]) -> Plain:
    """Call a function with the case's inputs as named arguments."""
    return plain(function(**inputs))


def value(found: Any, _inputs: dict[str, Any]) -> Plain:
    """The object is the answer itself: a guess, a measured number, a record."""
    return plain(found)


def gradient(function: Any, inputs: dict[str, Any]) -> Plain:
    """Call a function, and answer with its result and its gradients.

    `inputs` holds `arguments`, the names in `wrt` to differentiate by, and
    optionally `weights`, a tensor shaped like the result: the gradient is that of
    `(result * weights).sum()`.

    Returns:
        `{"result": …, "gradients": {name: tensor or None}}`.
    """
    import torch

    arguments = dict(inputs["arguments"])
    leaves = [arguments[name].requires_grad_() for name in inputs["wrt"]]
    result = function(**arguments)
    if not isinstance(result, torch.Tensor) or not result.requires_grad:
        return {"result": plain(result), "gradients": {}}
    weighted = result * inputs["weights"] if "weights" in inputs else result
    found = torch.autograd.grad(weighted.sum(), leaves, allow_unused=True)
    gradients = dict(zip(inputs["wrt"], map(plain, found), strict=True))
    return {"result": plain(result), "gradients": gradients}


def methods(factory: Any, inputs: dict[str, Any]) -> Plain:
    """Make an object, call its methods in turn, and answer with every result.

    `inputs` holds `new`, the arguments that make the object; optionally `state`, a
    state dict to load into it; and `calls`, a list of `{"method": name,
    "arguments": {…}}`. A method named `""` calls the object itself.
    """
    made = factory(**inputs.get("new", {}))
    if "state" in inputs:
        made.load_state_dict(inputs["state"])
    results: list[Plain] = []
    for each in inputs["calls"]:
        method = getattr(made, each["method"]) if each["method"] else made
        results.append(plain(method(**each.get("arguments", {}))))
    return results


def counted(function: Any, inputs: dict[str, Any]) -> Plain:
    """Call a function, and answer with its result and how many numbers it made.

    Every tensor counts that PyTorch makes on the way, apart from views of others.

    Returns:
        `{"result": …, "made": count}`.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    def storage(tensor: torch.Tensor) -> int:
        return tensor.untyped_storage().data_ptr()

    class Counter(TorchFunctionMode):
        made = 0

        def __torch_function__(
            self, call: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            result = call(*args, **(kwargs or {}))
            given = [each for each in args if isinstance(each, torch.Tensor)]
            if isinstance(result, torch.Tensor) and storage(result) not in map(
                storage, given
            ):
                self.made += result.numel()
            return result

    with Counter() as counter:
        result = function(**inputs)
    return {"result": plain(result), "made": counter.made}


def with_model(function: Any, inputs: dict[str, Any]) -> Plain:
    """Make a model with random weights, and call a function with it.

    `inputs` holds `config`, the fields of a `Config`; `dtype`, such as `"bfloat16"`;
    and `arguments`, what the function gets after the model, in order. With a `seed`
    the weights are the same every time.
    """
    import torch

    from sparrow import Config, Sparrow

    if "seed" in inputs:
        torch.manual_seed(inputs["seed"])
    model = Sparrow(Config(**inputs["config"])).to(getattr(torch, inputs["dtype"]))
    return plain(function(model.eval(), *inputs["arguments"]))


def balanced(function: Any, inputs: dict[str, Any]) -> Plain:
    """Call a loss on a routing, and answer with it and its gradient by the scores.

    Returns:
        `{"loss": …, "gradient": tensor or None}`.
    """
    import torch

    arguments = _records(inputs)
    scores = arguments["routing"].scores.requires_grad_()
    loss = function(**arguments)
    found = None
    if isinstance(loss, torch.Tensor) and loss.requires_grad:
        found = torch.autograd.grad(loss.sum(), scores, allow_unused=True)[0]
    return {"loss": plain(loss), "gradient": plain(found)}


def routed(function: Any, inputs: dict[str, Any]) -> Plain:
    """Call a gate, and answer with its routing and what learns from it.

    `inputs` holds `arguments`, those of the gate; and `probe`, one number for each
    token and expert: the gradient is that of the weights times these.

    Returns:
        `{"routing": …, "gradients": {"weight": tensor or None, "bias": …}}`.
    """
    import torch

    arguments = _records(inputs["arguments"])
    leaves = {name: arguments[name].requires_grad_() for name in ("weight", "bias")}
    routing = function(**arguments)
    found: dict[str, Any] = dict.fromkeys(leaves)
    weights = getattr(routing, "weights", None)
    if isinstance(weights, torch.Tensor) and weights.requires_grad:
        chosen = inputs["probe"].gather(-1, routing.experts)
        gradients = torch.autograd.grad(
            (weights * chosen).sum(), list(leaves.values()), allow_unused=True
        )
        found = dict(zip(leaves, gradients, strict=True))
    return {"routing": plain(routing), "gradients": plain(found)}


def shared(function: Any, inputs: dict[str, Any]) -> Plain:
    """Call a function that shares a sum; `whole` becomes the record that it is."""
    return plain(function(**_records(inputs)))


def _records(inputs: dict[str, Any]) -> dict[str, Any]:
    """The arguments, with `config` a `Config`, `routing` a `Routing`, and so on."""
    from sparrow.config import Config
    from sparrow.model.moe import Routing
    from sparrow.rl.shares import Whole

    kinds: dict[str, Any] = {"config": Config, "routing": Routing, "whole": Whole}
    return {
        name: kinds[name](**each) if name in kinds else each
        for name, each in inputs.items()
    }


DRIVERS: dict[str, Driver] = {
    "call": call,
    "admitted": by_imitation.admitted,
    "asked_each": by_teaching.asked_each,
    "answer_found": by_judging.answer_found,
    "balanced": balanced,
    "counted": counted,
    "few_bits": by_bits.few_bits,
    "record": call,  # the same: records become dictionaries
    "value": value,
    "gradient": gradient,
    "imitated": by_imitation.imitated,
    "interrupted": power_cut.interrupted,
    "joined": by_tokens.joined,
    "judged_again": by_judging.judged_again,
    "kept": by_teaching.kept,
    "learned": by_tokens.learned,
    "left_behind": left_behind.left_behind,
    "methods": methods,
    "on_grid": by_bits.on_grid,
    "pairs_counted": by_tokens.pairs_counted,
    "power_cut": power_cut.power_cut,
    "rewarded": by_reward.rewarded,
    "routed": routed,
    "pooled": by_serving.pooled,
    "scaled": by_bits.scaled,
    "shared": shared,
    "taught": by_teaching.taught,
    "tokens_left": by_tokens.tokens_left,
    "with_model": with_model,
    "word_encoded": by_tokens.word_encoded,
}


def drive(name: str, learner_object: Any, inputs: dict[str, Plain]) -> Plain:
    """Apply `learner_object` to a copy of `inputs` with the driver called `name`.

    Raises:
        CheckError: there is no such driver, or the answer is not plain data.
    """
    if name not in DRIVERS:
        raise CheckError(
            _(
                "There is no driver {name}: choose one of {there}.",
                name=name,
                there=", ".join(DRIVERS),
            )
        )
    own = copied(inputs)
    assert isinstance(own, dict)
    return DRIVERS[name](learner_object, own)
