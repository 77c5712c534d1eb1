"""Room: warehouse. The Spark engine: Spark schedules the numbers of parts, executors make them.

Spark sees no row. An executor makes the plan anew from names and settings, checks that it is the
driver's (same fingerprint, so the same versions too), and writes the same files with pyarrow into
a folder that both reach. What comes back is a part's record.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen

from dnr_core.config.settings import WarehouseSettings
from dnr_core.errors import ConfigError, DnrError, InputError
from dnr_core.model import DefectProfile
from dnr_core.plugins import BUILTIN, load_plugins
from dnr_core.warehouse.engines import Order, Part
from dnr_core.warehouse.parts import PartRecord
from dnr_core.warehouse.plan import Plan, make_plan

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue

LOST_TASKS: Final = 4
"""How often a part may be lost with its executor before the run gives up."""

_LOOK_SECONDS: Final = 0.2
_LOCAL: Final = re.compile(r"local(?:\[(\d+|\*)\])?")


@frozen
class Recipe:
    """What an executor needs to make the plan and its parts: names and plain values."""

    archetype: str
    settings: WarehouseSettings
    plugins: tuple[str, ...]
    profile: DefectProfile
    fingerprint: str
    folder: Path
    stage: Path
    truth: Path
    dated: Mapping[str, Fraction] = field(factory=dict)
    """What the driver has counted already; see the plan's."""


_orders: dict[str, Order] = {}
"""The order at hand in this Python worker, by fingerprint and folder: making it takes longer than a
small part. A worker serves one run at a time."""


def order_from(recipe: Recipe) -> Order:
    """Make the order anew where the recipe was sent to.

    Raises:
        ConfigError: plugins or versions here would make another company than the sender's.
    """
    name = f"{recipe.fingerprint} {recipe.stage}"
    if name not in _orders:
        catalogue = load_plugins(only=recipe.plugins)
        profiles = {**catalogue.profiles, recipe.profile.name: recipe.profile}
        catalogue = evolve(catalogue, profiles=profiles)
        # By name: the file that a profile was read from may be on the driver's disk alone.
        settings = evolve(recipe.settings, quality=recipe.profile.name)
        plan = make_plan(recipe.archetype, settings, catalogue, dated=recipe.dated)
        if plan.fingerprint != recipe.fingerprint:
            here = ", ".join(f"{name} {version}" for name, version in plan.versions.items())
            raise ConfigError(
                f"Spark's executors would make another company: they have {here}, or another "
                f"version of what brings the archetype {recipe.archetype!r}",
                hint="install the same versions of Python packages on executors and driver",
            )
        _orders.clear()
        _orders[name] = Order(plan, recipe.folder, recipe.stage, recipe.truth)
    return _orders[name]


def made(recipe: Recipe, place: int) -> PartRecord | DnrError:
    """Make the part at a place of the plan. A fault that would come again is returned.

    What is raised makes Spark try again, on another executor where there is one.
    """
    try:
        order = order_from(recipe)
        return order.make(order.plan.parts[place])
    except DnrError as error:
        return error


@frozen
class SparkEngine:
    """Makes parts on Spark. `master` is a Spark master; an active SparkContext is used as it is."""

    master: str
    settings: WarehouseSettings
    plugins: tuple[str, ...]

    @classmethod
    def of(
        cls, settings: WarehouseSettings, catalogue: Catalogue, scale: str | float | None
    ) -> SparkEngine:
        """Return the engine of the settings, once it is sure that Spark is there.

        Raises:
            ConfigError: pyspark or Java is missing.
        """
        refuse_without_spark()
        if scale is not None:
            settings = evolve(settings, scale=str(scale))
        names = tuple(p.name for p in catalogue.plugins if p.name != BUILTIN)
        return cls(settings.master, settings, names)

    def make(
        self, order: Order, parts: Sequence[Part], written: Callable[[int], None]
    ) -> Iterator[PartRecord]:
        """Make parts on executors and yield their records as they are done.

        Raises:
            ConfigError: Spark cannot be started, or the executors have other versions, or another
                disk.
            InputError: a part was lost too often.
        """
        if not parts:
            return
        recipe = Recipe(
            archetype=order.plan.archetype.name,
            settings=self.settings,
            plugins=self.plugins,
            profile=order.plan.profile,
            dated=order.plan.dated,
            fingerprint=order.plan.fingerprint,
            folder=order.folder.absolute(),
            stage=order.stage.absolute(),
            truth=order.truth.absolute(),
        )
        places = {(family.name, part): n for n, (family, part) in enumerate(order.plan.parts)}
        wanted = [places[family.name, part] for family, part in parts]
        with _spark(self.master, order.plan) as context:
            for answer in _answers(context, recipe, wanted):
                if isinstance(answer, DnrError):
                    raise answer
                for name in answer.files:
                    if not (order.stage / name).exists():
                        raise ConfigError(
                            f"Spark's executors wrote {name} to a disk that is not this one's",
                            hint="choose an --out and --meta folder that driver and executors share",
                        )
                written(sum(answer.rows.values()))
                yield answer


def _answers(context: Any, recipe: Recipe, places: list[int]) -> Iterator[PartRecord | DnrError]:
    """Run one task a part, and yield what each says as soon as it is done."""
    from pyspark.accumulators import AccumulatorParam

    class Gathered(AccumulatorParam[Any]):  # type: ignore[misc, unused-ignore]
        def zero(self, value: Any) -> Any:
            del value
            return []

        def addInPlace(self, one: Any, other: Any) -> Any:  # noqa: N802 - Spark's name
            one.extend(other)
            return one

    # An accumulator, because the results of an action come only when all tasks are done. Spark
    # adds each task's answer once, however often it was tried.
    gathered = context.accumulator([], Gathered())

    def task(place: int) -> None:
        gathered.add([made(recipe, place)])

    group = f"dnr {recipe.fingerprint[:12]}"
    ended: Future[None] = Future()

    def run() -> None:
        try:
            context.setJobGroup(group, f"dnr {recipe.archetype}", interruptOnCancel=True)
            context.parallelize(places, len(places)).foreach(task)
            ended.set_result(None)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            ended.set_exception(error)

    thread = threading.Thread(target=run, name="dnr-spark", daemon=True)
    thread.start()
    seen = 0
    try:
        while not (ended.done() and seen == len(gathered.value)):
            thread.join(_LOOK_SECONDS)
            for answer in gathered.value[seen:]:
                seen += 1
                yield answer
            if ended.done() and ended.exception() is not None:
                raise _gave_up(ended.exception())
    finally:
        if not ended.done():
            context.cancelJobGroup(group)
            thread.join(10)


def _gave_up(error: BaseException | None) -> DnrError:
    return InputError(
        f"Spark gave up: {_reason(error)}",
        hint="finished parts are kept; run the same command again to go on, "
        "with less memory a part by fewer cores in --master where it ran out",
    )


def _reason(error: BaseException | None) -> str:
    """Return the line of a Java trace that says what happened."""
    lines = [line.strip(" :\t") for line in str(error).splitlines()]
    told = [line for line in lines if re.match(r"[\w.$]*(Exception|Error)\b.*:", line)]
    return (told or [line for line in lines if line] or [type(error).__name__])[0]


def refuse_without_spark() -> None:
    """Refuse to start where pyspark or Java is missing.

    Raises:
        ConfigError: it says what to install.
    """
    from importlib.util import find_spec

    if find_spec("pyspark") is None:
        raise ConfigError(
            "the engine spark needs pyspark, which is not installed",
            hint="pip install 'dnr-core[spark]', or leave --engine out",
        )
    home = os.environ.get("JAVA_HOME")
    java = Path(home) / "bin" / "java" if home else shutil.which("java")
    if java is None or not Path(java).exists():
        told = f"JAVA_HOME is {home}, where there is no bin/java" if home else "there is no java"
        raise ConfigError(
            f"the engine spark needs Java 17 or later: {told}",
            hint="install a Java runtime (apt install openjdk-17-jre-headless), "
            "or leave --engine out",
        )


def tolerant(master: str) -> str:
    """Return a master that survives a lost Python worker: a local one gives up at once otherwise."""
    found = _LOCAL.fullmatch(master)
    return f"local[{found[1] or 1},{LOST_TASKS}]" if found else master


@contextmanager
def _spark(master: str, plan: Plan) -> Iterator[Any]:
    """Give an active SparkContext of the process, or start one and stop it at the end."""
    with warnings.catch_warnings():
        # pyspark warns of versions of pandas, which is not used here.
        warnings.simplefilter("ignore")
        from pyspark import SparkContext

        active = getattr(SparkContext, "_active_spark_context", None)
        context = active or _started(SparkContext, master, plan)
    try:
        yield context
    finally:
        if context is not active:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a JVM that was lost before
                context.stop()


def _started(spark_context: Any, master: str, plan: Plan) -> Any:
    from pyspark import SparkConf
    from pyspark.java_gateway import launch_gateway

    settings = {
        "spark.master": tolerant(master),
        "spark.app.name": f"dnr {plan.archetype.name}",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.task.maxFailures": str(LOST_TASKS),
    }
    local = master.startswith("local")
    if local:
        # A host name that leads nowhere is common on laptops and in containers.
        settings |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    launch: Any = launch_gateway  # it has no types
    conf = SparkConf(loadDefaults=False)
    for name, value in settings.items():
        conf.set(name, value)
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if in_main else None
    with tempfile.TemporaryFile() as log:
        gateway = None
        try:
            if getattr(spark_context, "_gateway", None) is None:
                # The JVM outlives the context and goes with this process, as pyspark has it.
                gateway = launch(conf, popen_kwargs={"stdout": log, "stderr": log})
            context = spark_context(conf=conf, gateway=gateway)
        except Exception as error:
            log.seek(0)
            said = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
            told = [line for line in said if "Error" in line or "Exception" in line]
            raise ConfigError(
                f"Spark cannot be started with the master {master}: {(told or [_reason(error)])[0]}",
                hint="Spark 4 needs Java 17 or later; --master 'local[2]' runs on this machine",
            ) from error
    if in_main:
        # pyspark puts its own in place and leaves it there.
        signal.signal(signal.SIGINT, before)
    if local or "PYSPARK_PYTHON" not in os.environ:
        context.pythonExec = sys.executable
    return context
