"""Optuna's storage in a database with fewer and plainer statements: what a large study does most costs a third.

`RDBStorage` reads each trial as a graph of objects, 0.2 to 0.4 ms of processor time; it makes a trial in seven round
trips during which no other worker can begin one, and reads it again before each thing that it writes. Its tables and
what they mean stay as they are, so every tool that reads Optuna's databases reads ours, and workers with and without
this class work together. Whatever is unusual is left to `RDBStorage`: samplers' values, errors, other databases.

Checked with Optuna 4.5 and 5.0; pinned by tests/lab/compat/test_optuna_database.py.
"""

import copy
import json
from collections.abc import Container, Iterable, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import ColumnElement, String, bindparam, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

UPSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}  # by the database
TRIALS: Any = models.TrialModel.__table__
UNFINISHED = TRIALS.c.state.in_([state for state in TrialState if not state.is_finished()])
DETAILS: dict[str, Any] = {  # by the attribute of TrialModel
    "params": models.TrialParamModel.__table__,
    "values": models.TrialValueModel.__table__,
    "user_attributes": models.TrialUserAttributeModel.__table__,
    "system_attributes": models.TrialSystemAttributeModel.__table__,
    "intermediate_values": models.TrialIntermediateValueModel.__table__,
}


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

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        if template_trial is None or template_trial.state is not TrialState.RUNNING or has_more(template_trial):
            return super()._create_new_trial(study_id, template_trial)
        number = select(func.count()).where(TRIALS.c.study_id == study_id).scalar_subquery()
        trial = {"study_id": study_id, "state": TrialState.RUNNING, "number": number}
        trial["datetime_start"] = as_stored(template_trial.datetime_start)
        begun = copy.deepcopy(template_trial)
        try:
            with _create_scoped_session(self.scoped_session) as session:
                models.StudyModel.find_or_raise_by_id(study_id, session, for_update=True)  # one at a time has a number
                begun._trial_id, begun.number = session.execute(
                    insert(TRIALS).values(trial).returning(TRIALS.c.trial_id, TRIALS.c.number)
                ).one()
                attributes = [
                    {"trial_id": begun._trial_id, "key": key, "value_json": json.dumps(value)}
                    for key, value in begun.user_attrs.items()
                ]
                if attributes:
                    session.execute(insert(DETAILS["user_attributes"]), attributes)
        except StorageInternalError:  # such as a locked file of SQLite: Optuna tries several times
            return super()._create_new_trial(study_id, template_trial)
        self.begun = copy.deepcopy(begun)
        return begun

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        written = {"of_trial": trial_id, "key": key, "value_json": json.dumps(value)}
        with _create_scoped_session(self.scoped_session) as session:
            is_written = session.execute(WRITE_ATTRIBUTE[self.engine.name], written).first() is not None
        if not is_written:
            super().set_trial_user_attr(trial_id, key, value)  # which raises what is to be raised

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        is_ended = False
        if state.is_finished() and (values is None or len(values) == 1):
            ending = update(TRIALS).where(TRIALS.c.trial_id == trial_id, UNFINISHED)
            ending = ending.values(state=state, datetime_complete=as_stored(datetime.now())).returning(
                TRIALS.c.trial_id
            )
            with _create_scoped_session(self.scoped_session) as session:
                is_ended = session.execute(ending).first() is not None
                if is_ended and values is not None:
                    value, kind = models.TrialValueModel.value_to_stored_repr(values[0])
                    row = {"trial_id": trial_id, "objective": 0, "value": value, "value_type": kind}
                    session.execute(insert(DETAILS["values"]), row)
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
