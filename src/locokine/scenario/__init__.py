"""What a user writes: scenarios, the dosing language, and what they mean."""

from locokine.scenario.describe import Description, describe
from locokine.scenario.experiment import Experiment
from locokine.scenario.load import load
from locokine.scenario.schema import json_schema
from locokine.scenario.templates import examples, template_text, templates

__all__ = ["Description", "Experiment", "describe", "examples", "json_schema", "load", "template_text", "templates"]
