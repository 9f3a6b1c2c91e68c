"""Optuna's storage in a database with fewer and plainer statements: what a large study does most costs a third.

`RDBStorage` reads each trial as a graph of objects, 0.2 to 0.4 ms of processor time; it makes a trial in seven round
trips during which no other worker can begin one, and reads it again before each thing that it writes. Its tables and
what they mean stay as they are, so every tool that reads Optuna's databases reads ours, and workers with and without
this class work together. Whatever is unusual is left to `RDBStorage`: samplers' values, errors, other databases.

Checked with Optuna 4.5 and 5.0; pinned by tests/lab/compat/test_optuna_database.py.
"""

import copy
import json
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import ColumnElement, Connection, String, bindparam, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

UPSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}  # by the database
STUDIES: Any = models.StudyModel.__table__
TRIALS: Any = models.TrialModel.__table__
UNFINISHED = TRIALS.c.state.in_([state for state in TrialState if not state.is_finished()])
DETAILS: dict[str, Any] = {  # by the attribute of TrialModel
    "params": models.TrialParamModel.__table__,
    "values": models.TrialValueModel.__table__,
    "user_attributes": models.TrialUserAttributeModel.__table__,
    "system_attributes": models.TrialSystemAttributeModel.__table__,
    "intermediate_values": models.TrialIntermediateValueModel.__table__,
}


LOCK = select(STUDIES.c.study_id).where(STUDIES.c.study_id == bindparam("of_study")).with_for_update()
NUMBER = select(func.count()).where(TRIALS.c.study_id == bindparam("of_study")).scalar_subquery()
BEGIN = (
    insert(TRIALS)
    .values(
        study_id=bindparam("of_study"), state=TrialState.RUNNING, number=NUMBER, datetime_start=bindparam("started")
    )
    .returning(TRIALS.c.trial_id, TRIALS.c.number)
)
END = (
    update(TRIALS)
    .where(TRIALS.c.trial_id == bindparam("of_trial"), UNFINISHED)
    .values(state=bindparam("ending"), datetime_complete=bindparam("ended"))
    .returning(TRIALS.c.trial_id)
)
ATTRIBUTES, VALUE = insert(DETAILS["user_attributes"]), insert(DETAILS["values"])


class Database(RDBStorage):
    """`RDBStorage` on PostgreSQL or SQLite."""

    begun: FrozenTrial | None = None  # until it is read for the first time

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        chosen = [TRIALS.c.study_id == study_id]
        if trial_id_greater_than > -1:
            included = [trial_id for trial_id in included_trial_ids if trial_id <= trial_id_greater_than]
            chosen.append(or_(TRIALS.c.trial_id > trial_id_greater_than, TRIALS.c.trial_id.in_(included)))
        if states is not None:
            assert isinstance(states, Iterable)
            chosen.append(TRIALS.c.state.in_(list(states)))
        return self.read(*chosen)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        begun, self.begun = self.begun, None
        if begun is not None and begun._trial_id == trial_id:  # Optuna's Trial reads what this process has just written
            return begun
        return next(iter(self.read(TRIALS.c.trial_id == trial_id)), None) or super().get_trial(trial_id)

    def read(self, *chosen: ColumnElement[bool]) -> list[FrozenTrial]:
        """The chosen trials, each of whose attributes was written before its state."""
        with _create_scoped_session(self.scoped_session) as session:
            found = {
                trial.trial_id: SimpleNamespace(
                    **{name: getattr(trial, name) for name in ("trial_id", "number", "state")},
                    **{name: getattr(trial, name) for name in ("datetime_start", "datetime_complete")},
                    **{name: [] for name in DETAILS},
                )
                for trial in session.query(models.TrialModel).filter(*chosen).order_by(TRIALS.c.trial_id)
            }
            for name, table in DETAILS.items():
                for row in session.execute(select(table).join(TRIALS).where(*chosen)) if found else ():
                    if row.trial_id in found:  # else begun since
                        getattr(found[row.trial_id], name).append(row)
        return [self._build_frozen_trial_from_trial_model(trial) for trial in found.values()]  # type: ignore[arg-type]

    @contextmanager
    def transaction(self, isolation_level: str | None = None) -> Iterator[Connection]:
        """A connection whose statements are committed together, or each by itself with `AUTOCOMMIT`."""
        options = {} if isolation_level is None else {"isolation_level": isolation_level}
        try:
            with self.engine.connect().execution_options(**options) as connection:
                yield connection
                connection.commit()
        except SQLAlchemyError as error:
            raise StorageInternalError(str(error)) from error

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        if template_trial is None or template_trial.state is not TrialState.RUNNING or has_more(template_trial):
            return super()._create_new_trial(study_id, template_trial)
        begun = copy.deepcopy(template_trial)
        attributes = [{"key": key, "value_json": json.dumps(value)} for key, value in begun.user_attrs.items()]
        try:
            with self.transaction() as connection:
                if not connection.execute(LOCK, {"of_study": study_id}).all():  # one at a time is given a number
                    raise KeyError(f"there is no study {study_id}")
                started = {"of_study": study_id, "started": as_stored(begun.datetime_start)}
                begun._trial_id, begun.number = connection.execute(BEGIN, started).one()
                if attributes:
                    connection.execute(ATTRIBUTES, [{"trial_id": begun._trial_id, **row} for row in attributes])
        except StorageInternalError:  # such as a locked file of SQLite: Optuna tries several times
            return super()._create_new_trial(study_id, template_trial)
        self.begun = copy.deepcopy(begun)
        return begun

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        written = {"of_trial": trial_id, "key": key, "value_json": json.dumps(value)}
        with self.transaction("AUTOCOMMIT") as connection:
            is_written = bool(connection.execute(WRITE_ATTRIBUTE[self.engine.name], written).all())
        if not is_written:
            super().set_trial_user_attr(trial_id, key, value)  # which raises what is to be raised

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        is_ended = False
        if state.is_finished() and (values is None or len(values) == 1):
            ended = {"of_trial": trial_id, "ending": state, "ended": as_stored(datetime.now())}
            with self.transaction() as connection:
                is_ended = bool(connection.execute(END, ended).all())
                if is_ended and values is not None:
                    value, kind = models.TrialValueModel.value_to_stored_repr(values[0])
                    row = {"trial_id": trial_id, "objective": 0, "value": value, "value_type": kind}
                    connection.execute(VALUE, row)
        return is_ended or super().set_trial_state_values(trial_id, state, values)


def has_more(trial: FrozenTrial) -> bool:
    """Whether a trial to begin with has more than attributes."""
    return bool(trial.params or trial.system_attrs or trial.intermediate_values or trial.values)


def as_stored(when: datetime | None) -> datetime | None:
    """A local time as this version of Optuna keeps it in the table: Optuna 5 in UTC, earlier versions as it is."""
    name = models.TrialModel.__mapper__.get_property_by_column(TRIALS.c.datetime_start).key
    stored: datetime | None = getattr(models.TrialModel(datetime_start=when), name)
    return stored


def write_attribute(upsert: Any) -> Any:
    """The statement that writes an attribute of a trial that has not ended."""
    columns = [TRIALS.c.trial_id, bindparam("key", type_=String), bindparam("value_json", type_=String)]
    of_trial = select(*columns).where(TRIALS.c.trial_id == bindparam("of_trial"), UNFINISHED)
    inserted = upsert(DETAILS["user_attributes"]).from_select(["trial_id", "key", "value_json"], of_trial)
    new = {"value_json": inserted.excluded.value_json}
    return inserted.on_conflict_do_update(index_elements=["trial_id", "key"], set_=new).returning(
        inserted.table.c.trial_id
    )


WRITE_ATTRIBUTE = {name: write_attribute(upsert) for name, upsert in UPSERTS.items()}
