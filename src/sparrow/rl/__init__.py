"""Learn from reward alone: groups of answers, judged against each other."""

from sparrow.rl.advantage import group_advantage
from sparrow.rl.objective import PolicyLoss, policy_loss
from sparrow.rl.shares import KINDS, Kind, Whole

__all__ = ["KINDS", "Kind", "PolicyLoss", "Whole", "group_advantage", "policy_loss"]
