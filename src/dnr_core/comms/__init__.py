"""Room: comms. Talk: made for a synthetic company, or read from a real one's exports."""

from dnr_core.comms.generate import CommsFolder, generate_comms
from dnr_core.comms.read import read_comms

__all__ = ["CommsFolder", "generate_comms", "read_comms"]
