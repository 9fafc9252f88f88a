"""Break the engine on purpose: what to change in the source, and the test that has to go red for it.

Rules: `old` stands in the file exactly once. When the code was rewritten, refresh the entry so that it breaks the same
thing again; do not drop it.
"""

from typing import NamedTuple


class Mutation(NamedTuple):
    what: str
    file: str
    old: str
    new: str
    test: str


ENGINE = "application/engine.py"
CONSEQUENCES = "application/consequences.py"
RECOVERY = "application/recovery.py"
LANES = "application/lane.py"
TIMERS = "application/timers.py"
WRITER = "application/writer.py"
PROJECTOR = "application/projector.py"
FOLLOWER = "application/follower.py"
RETENTION = "application/retention.py"
QUERIES = "application/queries.py"
MEMORY = "adapters/memory/event_store.py"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "commands go out before the commit",
        ENGINE,
        "        instance.busy = True\n        instance.asking = ask.waiter\n",
        "        for command in decision.commands:\n            self._send(instance, command)\n"
        "        instance.busy = True\n        instance.asking = ask.waiter\n",
        "test_persistence.py::test_rule_01_nothing_is_sent_or_acknowledged_before_its_commit",
    ),
    Mutation(
        "a caller is acknowledged before the commit",
        ENGINE,
        "        instance.busy = True\n        instance.asking = ask.waiter\n",
        "        if ask.waiter is not None and not ask.until_end:\n            ask.waiter.set_result(decision.state)\n"
        "        instance.busy = True\n        instance.asking = ask.waiter\n",
        "test_persistence.py::test_rule_01_no_act_is_acknowledged_before_its_commit",
    ),
    Mutation(
        "the state is shown before the commit",
        ENGINE,
        "        instance.busy = True\n        instance.asking = ask.waiter\n",
        "        instance.state = decision.state\n        instance.busy = True\n        instance.asking = ask.waiter\n",
        "test_persistence.py::test_rule_01_no_act_is_acknowledged_before_its_commit",
    ),
    Mutation(
        "what is outstanding is not sent at recovery",
        ENGINE,
        "        if resend and not (state.final or instance.leaving):",
        "        if False and resend:",
        "test_recovery.py::test_what_is_outstanding_is_sent_again_with_the_same_id",
    ),
    Mutation(
        "recovery finds nothing",
        RECOVERY,
        "        news = not self._is_live(row.key)",
        "        news = self._is_live(row.key)",
        "test_recovery.py::test_what_is_outstanding_is_sent_again_with_the_same_id",
    ),
    Mutation(
        "what was accepted is sent again whenever it is loaded",
        ENGINE,
        "self._load(instance, resend=self.recovery.is_running)",
        "self._load(instance, resend=True)",
        "test_lanes.py::test_what_was_accepted_leaves_memory_and_its_reply_comes_later",
    ),
    Mutation(
        "the index forgets what is outstanding",
        "application/index_row.py",
        "    return SetIndex(wake_at, outstanding)\n",
        "    return SetIndex(wake_at, outstanding=False)\n",
        "test_recovery.py::test_what_is_outstanding_is_sent_again_with_the_same_id",
    ),
    Mutation(
        "the index is too late",
        "application/index_row.py",
        "known is not None and known <= wake_at",
        "known is None or known <= wake_at or True",
        "test_timers.py::test_a_shorter_timeout_behind_a_longer_one_is_not_late",
    ),
    Mutation(
        "a trigger that comes while an append is in flight is dropped",
        ENGINE,
        "            instance.queue.append(ask)\n        else:",
        "            instance.busy or instance.queue.append(ask)\n        else:",
        "test_verbs.py::test_concurrent_starts_make_one_instance",
    ),
    Mutation(
        "a lost lock is taken for a commit",
        CONSEQUENCES,
        "        if verdict is not True:",
        "        if verdict is None:",
        "test_verbs.py::test_a_start_with_other_data_is_a_conflict",
    ),
    Mutation(
        "a lost lock drops its trigger",
        ENGINE,
        "        ask.is_new = False\n        instance.queue.insert(0, ask)\n",
        "        ask.waiter and ask.waiter.set_exception(RuntimeError('lost'))\n",
        "test_persistence.py::test_a_lost_lock_reloads_and_decides_again_and_harms_no_neighbour",
    ),
    Mutation(
        "another saga's instance is taken for the same",
        ENGINE,
        "        plan = ask.wanted or instance.plan or ",
        "        plan = instance.plan or ask.wanted or ",
        "test_verbs.py::test_the_same_id_and_data_for_another_saga_is_a_conflict",
    ),
    Mutation(
        "who waits for an append is forgotten when the store breaks",
        "application/instance.py",
        "        return [self.asking, *(",
        "        return [*(",
        "test_persistence.py::test_a_broken_store_is_told_to_all_who_wait_and_nothing_is_acknowledged",
    ),
    Mutation(
        "an instance whose caller gave up stays in memory",
        "application/entrance.py",
        "        if instance.ended.pop(ended, None) is not None:",
        "        if instance.ended.pop(ended, None) is None:",
        "test_memory.py::test_an_instance_leaves_when_its_caller_gives_up",
    ),
    Mutation(
        "an idle instance stays in memory",
        "application/live.py",
        "            del self._instances[instance.key]\n            self.resting.discard(instance.key)\n        elif",
        "            pass\n        elif",
        "test_verbs.py::test_get_and_wait_see_what_is_durable",
    ),
    Mutation(
        "an end that came while the instance was loaded is not told",
        ENGINE,
        "        if instance.ended and not instance.queue:",
        "        if False:",
        "test_verbs.py::test_wait_is_told_an_end_that_came_while_it_read",
    ),
    Mutation(
        "a call whose time is over keeps its place",
        ENGINE,
        "                held = self._dispatcher.give_up_late(instance, now)\n",
        "",
        "test_lanes.py::test_a_hanging_call_gives_its_place_back_when_its_time_is_over",
    ),
    Mutation(
        "an index row that was too early stays as it is",
        "application/index_row.py",
        "    return not has_moved and not instance.state.final\n",
        "    return False\n",
        "test_timers.py::test_an_index_row_that_was_too_early_is_corrected_once",
    ),
    Mutation(
        "an instance moves on while its index row is corrected",
        ENGINE,
        "        instance.busy = True\n        self.timers.correct(",
        "        self.timers.correct(",
        "test_timers.py::test_a_correction_never_overwrites_a_newer_index_row",
    ),
    Mutation(
        "an instance that cannot be run is asked for again and again",
        ENGINE,
        "        if any(type(ask.trigger) is Tick for ask in asks):\n            self._reindex(instance, PARKED)\n",
        "",
        "test_recovery.py::test_an_instance_without_its_definition_is_reported_and_harms_nobody",
    ),
    Mutation(
        "a parked instance stays parked",
        RECOVERY,
        "        if row.wake_at is None:",
        "        if False:",
        "test_recovery.py::test_the_timer_of_a_parked_instance_counts_again_once_it_can_be_run",
    ),
    Mutation(
        "a cancelled caller keeps the place that it was promised",
        "application/room.py",
        "                self._promised -= 1\n                self.let_in()\n",
        "                pass\n",
        "test_memory.py::test_a_promised_place_is_passed_on_when_its_caller_gives_up_at_that_moment",
    ),
    Mutation(
        "recovery is refused when many callers wait",
        "application/room.py",
        "        if not patient and kept_waiting",
        "        if kept_waiting",
        "test_memory.py::test_recovery_of_more_than_may_be_live",
    ),
    Mutation(
        "a wake-up is forgotten over an older answer",
        TIMERS,
        "        if stored is not None and (self._next is None or stored < self._next):\n",
        "        if True:\n",
        "test_timers.py::test_a_wake_up_that_is_noted_while_the_store_is_asked_is_not_forgotten",
    ),
    Mutation(
        "a correction that failed is forgotten",
        TIMERS,
        "                    corrections.setdefault(key, (change, done))\n",
        "                    pass\n",
        "test_timers.py::test_a_correction_that_fails_is_made_later",
    ),
    Mutation(
        "a full store stops the writer",
        WRITER,
        "                case StoreFull() | StoreUnavailable():",
        "                case StoreUnavailable():",
        "test_persistence.py::test_a_store_that_is_full_or_away_is_waited_for",
    ),
    Mutation(
        "what no store can keep takes its neighbours along",
        WRITER,
        "                    return [error] if len(batch) == 1 else await self._each_alone(batch)\n",
        "                    return [error] * len(batch)\n",
        "test_persistence.py::test_what_no_store_can_keep_fails_alone",
    ),
    Mutation(
        "commits are not joined",
        WRITER,
        "largest_batch: int = 2000",
        "largest_batch: int = 1",
        "test_persistence.py::test_group_commit_joins_what_arrives_while_a_commit_is_in_flight",
    ),
    Mutation(
        "a transport that raises takes its lane's worker along",
        LANES,
        "                except (Exception, SystemExit, asyncio.CancelledError) as error:",
        "                except ZeroDivisionError as error:",
        "test_lanes.py::test_a_transport_that_raises_is_an_attempt_that_failed",
    ),
    Mutation(
        "closing waits for a call that will not be cancelled",
        LANES,
        "            if self._stopping:\n                return\n            if self.backlog",
        "            if self.backlog",
        "test_lanes.py::test_a_handler_that_will_not_be_cancelled_does_not_hold_up_the_end",
    ),
    Mutation(
        "an act on what has moved is done",
        ENGINE,
        "    if expected != instance.state.position:",
        "    if False:",
        "test_steering.py::test_of_two_who_saw_the_same_only_the_first_acts",
    ),
    Mutation(
        "a start that lost its lock is told to be new",
        ENGINE,
        "        ask.is_new = False\n",
        "",
        "test_steering.py::test_a_start_that_lost_its_lock_to_its_like_is_not_new",
    ),
    Mutation(
        "a changed definition runs on open instances",
        "application/definitions.py",
        "            if plan is not None and plan.fingerprint != started.fingerprint:",
        "            if plan is None:",
        "test_definitions.py::test_a_changed_definition_is_refused_while_an_instance_is_open",
    ),
    Mutation(
        "a refused definition is noted as right",
        "application/definitions.py",
        "    if changed:\n",
        "    await store.note_definitions([DefinitionNote(*key, given[key].fingerprint) for key in new])\n"
        "    if changed:\n",
        "test_definitions.py::test_it_is_refused_again_and_again",
    ),
    Mutation(
        "a store that refuses its definitions stays held",
        "application/definitions.py",
        "        await store.close()\n        raise\n",
        "        raise\n",
        "test_definitions.py::test_a_changed_definition_is_refused_while_an_instance_is_open",
    ),
    Mutation(
        "rows of another store are gone on with",
        PROJECTOR,
        "                if checkpoint == _checkpoint(logged.sequence, logged.transition):",
        "                if logged:",
        "test_read_side.py::test_a_store_that_was_put_back_takes_its_rows_with_it",
    ),
    Mutation(
        "a reopened instance keeps its end",
        PROJECTOR,
        " if state.final else None",
        " if state.final else self.ended_at",
        "test_read_side.py::test_the_end_of_an_instance_that_was_reopened_is_taken_back",
    ),
    Mutation(
        "a listener that raised is not told again",
        FOLLOWER,
        "        await listener.take(piece)\n",
        "        self._arrived(listener, piece[-1].sequence)\n        place = piece[-1].sequence\n"
        "        with __import__('contextlib').suppress(Exception):\n            await listener.take(piece)\n",
        "test_follower.py::test_one_that_raises_is_told_again_and_harms_nobody",
    ),
    Mutation(
        "a commit while the log was read wakes nobody",
        FOLLOWER,
        "            if commits == self._commits:",
        "            if True:",
        "test_follower.py::test_a_commit_while_the_log_is_read_is_not_missed",
    ),
    Mutation(
        "one reader that leaves takes the others along",
        FOLLOWER,
        "                await asyncio.wait({news}, timeout=self._poll)",
        "                await asyncio.wait_for(news, timeout=self._poll)",
        "test_follower.py::test_a_reader_that_leaves_takes_nobody_along",
    ),
    Mutation(
        "what was archived is not looked at again before it is deleted",
        MEMORY,
        "        if stream.end.position != end.position or stream.end.sequence == len(self._log):\n",
        "        if stream.end.sequence == len(self._log):\n",
        "test_retention.py::test_an_instance_that_goes_on_meanwhile_stays",
    ),
    Mutation(
        "the newest of the log is archived at every run",
        RETENTION,
        "if end.sequence < bound]",
        "if end.sequence <= bound]",
        "test_retention.py::test_the_newest_stays_and_is_not_archived_over_and_over",
    ),
    Mutation(
        "a volume that was not settled is left so",
        RETENTION,
        "            if not volume.is_settled:\n",
        "            if volume.size < 0:\n",
        "test_retention.py::test_what_went_wrong_half_way_is_put_right_by_the_next_run",
    ),
    Mutation(
        "rows stay when their instances go",
        RETENTION,
        "            await self._forget([end.key for end in ends])\n",
        "",
        "test_retention.py::test_what_is_old_goes_and_comes_back",
    ),
    Mutation(
        "rows that lag do not hold their instances back",
        RETENTION,
        "        return min(end, (await self._read_model.checkpoint()).sequence)\n",
        "        return end\n",
        "test_retention.py::test_rows_that_lag_hold_their_instances_back",
    ),
    Mutation(
        "an instance that was archived is decided from memory",
        ENGINE,
        "        instance.plan, instance.state = plan, state  # nothing, if it was archived meanwhile\n",
        "        if state.position:\n            instance.plan, instance.state = plan, state\n",
        "test_retention.py::test_a_reply_that_meets_its_deletion_is_told",
    ),
    Mutation(
        "a projector that lost its claim goes on from memory",
        PROJECTOR,
        "            raise BeginAnew(str(lost)) from lost\n",
        "            raise\n",
        "test_shared_views.py::test_who_lost_the_claim_goes_on_from_the_checkpoint",
    ),
    Mutation(
        "who stands by takes its own place for that of the rows",
        QUERIES,
        "        while not self._projector.leads and self.projected < wanted:\n",
        "        while False:\n",
        "test_shared_views.py::test_who_stands_by_waits_for_the_rows_and_not_for_its_next_look",
    ),
)
