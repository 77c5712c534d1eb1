"""Room: testing. What authors of plugins, and we ourselves, test with."""

from dnr_core.testing.scripted import Answer, Fault, Hang, ScriptedProvider, Step

__all__ = ["Answer", "Fault", "Hang", "ScriptedProvider", "Step"]
