"""Between who owns chains and the store of each plugin: nothing is done for a chain before it is written down."""

from enum import StrEnum

from evenkeel.messages.profit_booking import Pyramid
from evenkeel.messages.recovery import Chain
from evenkeel.messages.system import Message, Observation


class StoreFailure(StrEnum):
    """VERSION: another write came first. FOREIGN: the chain belongs to another plugin. UNWRITABLE: the disk did not take it."""

    VERSION = "version"
    FOREIGN = "foreign"
    UNWRITABLE = "unwritable"


class SaveChain(Message, frozen=True):
    """Write `chain` down in the store of `plugin`, in the place of its version before (`chain.version` - 1).

    Answered by ChainSaved or ChainNotSaved, to `owner`. Saving again what is there is no conflict.
    """

    owner: str
    plugin: str
    chain: Chain | Pyramid


class ChainSaved(Observation, frozen=True):
    """It is on the disk. `version` is the chain's."""

    owner: str
    plugin: str
    chain_id: str
    version: int


class ChainNotSaved(Observation, frozen=True):
    """It is not: what was to follow is not done. `version` is the one that was to be written."""

    owner: str
    plugin: str
    chain_id: str
    version: int
    failure: StoreFailure
    detail: str
