"""Room: comms. Talk: made for a synthetic company, or read from a real one's exports."""

from dnr_core.comms.generate import CommsFolder, generate_comms
from dnr_core.comms.read import read_comms
from dnr_core.comms.real import ImportedFolder, import_comms

__all__ = ["CommsFolder", "ImportedFolder", "generate_comms", "import_comms", "read_comms"]
