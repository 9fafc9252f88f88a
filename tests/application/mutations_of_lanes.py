"""Mutations of breakers, gates and lanes, each with the test that has to go red."""

from tests.application.mutations import Mutation

BREAKERS = "application/breakers.py"
GATE = "application/gate.py"
LANE = "application/lane.py"
RESILIENCE = "test_resilience.py::"
PURE = "test_breakers.py::"
DOUBTS = "test_doubts.py::"
POSTED = "test_posted.py::"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "the time of what was not sent runs on",
        "core/decide.py",
        "in state.timers.items() if path not in held]",
        "in state.timers.items()]",
        RESILIENCE + "test_a_deadline_passes_for_everybody[memory]",
    ),
    Mutation(
        "what is brought back gets no new time",
        "core/decide.py",
        "        if trigger.steps is not None and path not in trigger.steps:",
        "        if trigger.steps is not None:",
        RESILIENCE
        + "test_an_attempt_that_was_queued_when_its_time_came_gets_its_full_time_when_it_goes[memory]",
    ),
    Mutation(
        "what was set aside stays in memory",
        "application/dispatcher.py",
        "        if lane is None or lane.send(command):",
        "        lane is None or lane.send(command)\n        if True:",
        RESILIENCE + "test_a_probe_that_hangs_is_given_up_and_it_is_open_again[memory]",
    ),
    Mutation(
        "an index row of what stands still is due for ever",
        "application/index_row.py",
        "    if not held or state.wake_at is None:",
        "    if True:",
        RESILIENCE + "test_a_person_opens_and_closes_it[memory]",
    ),
    Mutation(
        "who is not remembered is not looked for",
        "application/backlog.py",
        "        return self._beyond > 0",
        "        return False",
        RESILIENCE + "test_who_is_not_remembered_is_found_in_the_index[memory]",
    ),
    Mutation(
        "no room is made for others",
        "application/room.py",
        "        if self._make_room is not None:",
        "        if False and self._make_room is not None:",
        RESILIENCE + "test_sagas_on_one_hanging_participant_leave_room_for_others[memory]",
    ),
    Mutation(
        "who rests takes room",
        "application/live.py",
        "            self.resting.add(instance.key)",
        "            pass",
        RESILIENCE + "test_sagas_on_one_hanging_participant_leave_room_for_others[memory]",
    ),
    Mutation(
        "those who rest with their callers have no bound",
        "application/room.py",
        "        return beyond < 0 or beyond < min(len(self._resting), self._most_waiting)",
        "        return beyond < 0 or beyond < len(self._resting)",
        RESILIENCE + "test_callers_who_wait_for_what_hangs_are_bounded[memory]",
    ),
    Mutation(
        "what was accepted is failed while its participant is away",
        LANE,
        '        if self.gate.stage in ("open", "half-open"):',
        "        if False:",
        RESILIENCE + "test_what_was_accepted_stands_still_too_while_its_participant_is_away[memory]",
    ),
    Mutation(
        "a probe that is given up says nothing",
        LANE,
        "                self._settle(worker.permit, command, SILENT)\n",
        "",
        RESILIENCE + "test_a_probe_that_hangs_is_given_up_and_it_is_open_again[memory]",
    ),
    Mutation(
        "a newcomer overtakes what is queued",
        LANE,
        "            not (self._queue.length or self.backlog.size",
        "            not (self.backlog.size",
        POSTED
        + "test_what_nothing_keeps_is_handed_over_at_once_and_a_newcomer_goes_behind_what_is_queued[memory]",
    ),
    Mutation(
        "an open breaker lets through what is posted",
        LANE,
        "            and self._breaker.is_closed\n            and len",
        "            and len",
        POSTED + "test_an_open_breaker_keeps_what_is_posted[memory]",
    ),
    Mutation(
        "a rate limit does not count what is posted",
        LANE,
        "            not (self._queue.length or self.backlog.size or self._blocked or self.gate.is_limited)",
        "            not (self._queue.length or self.backlog.size or self._blocked)",
        POSTED + "test_a_rate_limit_keeps_what_is_posted[memory]",
    ),
    Mutation(
        "retries that are posted have no budget",
        LANE,
        "            and command.attempt == 1\n",
        "",
        POSTED + "test_the_budget_keeps_retries_that_are_posted[memory]",
    ),
    Mutation(
        "more are posted than the binding says",
        LANE,
        "            and len(self._posted) < self._most_posted\n",
        "",
        POSTED + "test_no_more_are_on_their_way_than_the_binding_says_and_they_go_together[memory]",
    ),
    Mutation(
        "probes go together",
        BREAKERS,
        "                return LATER if self._probing else NOW",
        "                return NOW",
        PURE + "test_after_its_time_one_probe_goes_and_no_more",
    ),
    Mutation(
        "one command opens it",
        BREAKERS,
        "            self._failed.add(command_id)",
        "            self._failed.add(command_id + str(self._calls))",
        PURE + "test_one_command_that_fails_again_and_again_says_nothing_about_its_participant",
    ),
    Mutation(
        "old results count",
        BREAKERS,
        "        if permit != self.epoch:\n            return False\n        if self._stage !=",
        "        if self._stage !=",
        PURE + "test_what_was_sent_before_it_opened_is_passed_over",
    ),
    Mutation(
        "the backlog falls upon who comes back",
        BREAKERS,
        "                return NOW if self._ramp is None else self._ramp.wait(now)",
        "                return NOW",
        RESILIENCE + "test_what_comes_back_comes_at_the_pace_of_the_ramp",
    ),
    Mutation(
        "retries have no budget",
        GATE,
        '            waits.append(("budget", budget.wait(now)))',
        "            pass",
        RESILIENCE + "test_retries_keep_to_their_budget_and_undos_go_on[memory]",
    ),
    Mutation(
        "dos and undos share a budget",
        GATE,
        '{"do again": do, "undo again": undo}',
        '{"do again": do, "undo again": do}',
        PURE + "test_retries_keep_to_their_share_and_an_undo_has_a_budget_of_its_own",
    ),
    Mutation(
        "the rate limit is not kept",
        GATE,
        '            waits.append(("limit", self._limit.wait(now)))',
        "            pass",
        RESILIENCE + "test_a_rate_limit_holds_and_uses_up_no_attempt",
    ),
    Mutation(
        "nobody is asked what became of a command",
        "application/engine.py",
        "doubted := self._doubts.raised_by(state, decision, ask)",
        "doubted := NOTHING",
        DOUBTS + "test_what_had_succeeded_goes_on_and_is_not_undone[memory-lost]",
    ),
    Mutation(
        "while somebody is asked the attempt fails",
        "application/doubts.py",
        "        if attempt in self._asking:\n            return True\n",
        "        if attempt in self._asking:\n            return False\n",
        DOUBTS + "test_while_it_is_asked_time_stands_still_and_it_is_asked_once[memory]",
    ),
    Mutation(
        "what nobody knows is asked for ever",
        "application/doubts.py",
        "        if ask.is_settled or ask.waiter is not None:",
        "        if ask.waiter is not None:",
        DOUBTS + "test_what_nobody_knows_is_unknown_as_without_asking[memory-lost]",
    ),
)
