"""The whole process dies without warning and is started again: it goes on where the journal ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from evenkeel.adapters.lmdb_journal import read_folder, verify
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.messages.broker_gateway import BrokerAgreed, DealDone, DealEntry
from evenkeel.messages.entry import OpenPosition, OrderDenied
from evenkeel.messages.operator import Mode, ModeChanged
from evenkeel.messages.position import PositionOpened
from evenkeel.messages.system import Message, RunStarted
from evenkeel.supervisor import CODEC
