"""Break each rule once: what to change in the source, and the test that has to go red for it.

Rules: `old` stands in the file exactly once. When the code was rewritten, refresh the entry so that it breaks the same
rule again; do not drop it.
"""

from typing import NamedTuple


class Mutation(NamedTuple):
    rule: int
    file: str
    old: str
    new: str
    test: str


MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        1,
        "core/draft.py",
        "        if step is not None:\n            self.sends",
        "        if step is not None and step.attempt == 1:\n            self.sends",
        "test_rule_01_persist_then_act",
    ),
    Mutation(
        1,
        "core/state.py",
        'if self.paused or self.final == "abandoned":\n            return []',
        'if self.final == "abandoned":\n            return []',
        "test_rule_01_nothing_is_sent_while_paused",
    ),
    Mutation(
        2,
        "core/state.py",
        "            round_ = 1\n",
        "            round_ = step.attempt\n",
        "test_rule_02_deterministic_ids",
    ),
    Mutation(
        2,
        "core/decide.py",
        " or trigger.step in draft.state.contradicted:",
        ":",
        "test_rule_02_a_second_reply_changes_nothing",
    ),
    Mutation(
        3,
        "core/progress.py",
        "        if progress is not DONE:\n            return progress\n    return DONE",
        "        if progress is FAILED:\n            return progress\n    return DONE",
        "test_rule_03_forward",
    ),
    Mutation(
        4,
        "core/compensation.py",
        "    for child in place.backwards:\n"
        "        clean = _BACKWARD[type(child)](draft, child, keys, _own(draft, child, keys, cause))\n"
        "        if not clean:\n            return False\n    return True",
        "    return all([backward(draft, child, keys, _own(draft, child, keys, cause)) for child in place.backwards])",
        "test_rule_04_settle_first",
    ),
    Mutation(
        4,
        "core/compensation.py",
        "    if step is None or step.phase not in DUE:\n        return False",
        "    if step is None or step.phase not in DUE:\n        return True",
        "test_rule_04_settle_first",
    ),
    Mutation(
        5,
        "core/transitions.py",
        'DUE: frozenset[Phase] = frozenset({"succeeded", "unknown"})',
        'DUE: frozenset[Phase] = frozenset({"succeeded"})',
        "test_rule_05_backward",
    ),
    Mutation(
        5,
        "core/compensation.py",
        "    node = place.node\n    made",
        "    return True\n    node = place.node\n    made",
        "test_rule_05_backward",
    ),
    Mutation(
        6,
        "core/advance.py",
        "    elif done and clean:",
        "    elif done:",
        "test_rule_06_tolerated_is_not_forgotten",
    ),
    Mutation(
        6,
        "core/plan.py",
        "    return n.SequenceNode((node,)) if isinstance(node, n.TolerateNode) else node",
        "    return node",
        "test_rule_06_a_tolerated_branch_counts_as_done",
    ),
    Mutation(
        7,
        "core/evolve.py",
        'to: Phase = "succeeded" if step.late else "undone"',
        'to: Phase = "undone"',
        "test_rule_07_late_success",
    ),
    Mutation(
        7,
        "core/decide.py",
        'reopens = state.final in ("completed", "compensated")',
        'reopens = state.final == "completed"',
        "test_rule_07_after_the_end",
    ),
    Mutation(
        8,
        "core/advance.py",
        'if step is not None and step.phase in ("doing", "retrying", "stuck"):',
        'if step is not None and step.phase == "stuck":',
        "test_rule_08_point_of_no_return",
    ),
    Mutation(
        8,
        "core/advance.py",
        "            if not pivot_in_flight(draft):\n                turn(draft, draft.failure)",
        "            turn(draft, draft.failure)",
        "test_rule_08_nothing_turns_under_a_pivot_in_flight",
    ),
    Mutation(
        8,
        "core/decide.py",
        "and isinstance(place, StepPlace) and place.compensatable:",
        "and isinstance(place, StepPlace):",
        "test_rule_08_an_unknown_pivot_is_stuck_and_not_compensated",
    ),
    Mutation(
        9,
        "core/decide.py",
        "        draft.emit(e.StepStuck(step=path, reason=reason, direction=direction))",
        '        draft.emit(e.ReplyRecorded(step=path, direction="undo"))',
        "test_rule_09_undo_does_not_give_up_by_itself",
    ),
    Mutation(
        10,
        "core/evolve.py",
        "    _unstick(state, event.step)\n    _note_unconfirmed(state, event.step)",
        "    _unstick(state, event.step)",
        "test_rule_10_evidence",
    ),
    Mutation(
        11,
        "core/evolve.py",
        "    _set_timer(state, event.path, event.until)",
        "    _set_timer(state, event.path, None)",
        "test_rule_11_every_stream_ends",
    ),
    Mutation(
        11,
        "core/transitions.py",
        'frozenset({"idle", "refused", "passed", "undone", "left"})',
        'frozenset({"idle", "refused", "undone", "left"})',
        "test_rule_11_a_skipped_step_in_a_turned_part_holds_nothing_up",
    ),
    Mutation(
        12,
        "core/draft.py",
        "        except KeyboardInterrupt:\n            raise\n        except BaseException as error:",
        "        except KeyError as error:",
        "test_rule_12_replay_calls_no_user_code",
    ),
    Mutation(
        13, "core/decide.py", "        if not same:", "        if same:", "test_rule_13_start_is_idempotent"
    ),
    Mutation(
        1,
        "core/straight.py",
        "or state.paused or",
        "or",
        "test_whatever_happens_the_straight_way_is_the_walk",
    ),
    Mutation(
        3,
        "core/straight.py",
        "if state.turned or ",
        "if ",
        "test_whatever_happens_the_straight_way_is_the_walk",
    ),
    Mutation(
        3,
        "core/straight.py",
        ' or step.phase != "doing":',
        ":",
        "test_whatever_happens_the_straight_way_is_the_walk",
    ),
    Mutation(
        3,
        "core/straight.py",
        'trigger.direction == "undo" or type(answer)',
        "type(answer)",
        "test_what_is_said_after_the_end_or_was_not_asked_is_the_walks",
    ),
    Mutation(
        3,
        "core/straight.py",
        "    after.timers.pop(path, None)\n",
        "",
        "test_whatever_happens_the_straight_way_is_the_walk",
    ),
    Mutation(
        3,
        "core/straight.py",
        "if node.merge is not None:",
        "if False:",
        "test_whatever_happens_the_straight_way_is_the_walk",
    ),
    Mutation(
        3,
        "core/straight.py",
        "            plan.read(merged)\n",
        "            pass\n",
        "test_a_merge_that_cannot_be_used_is_the_walks",
    ),
    Mutation(
        3,
        "core/straight.py",
        "plan.saga.statuses.started) is not None:",
        "None) is not None:",
        "test_whatever_happens_the_straight_way_is_the_walk",
    ),
    Mutation(
        3,
        "core/straight.py",
        "plan.saga.statuses.completed) is not None:",
        "None) is not None:",
        "test_whatever_happens_the_straight_way_is_the_walk",
    ),
    Mutation(
        3,
        "core/straight.py",
        "if node.waiting is not None:",
        "if False:",
        "test_whatever_happens_the_straight_way_is_the_walk",
    ),
    Mutation(
        8,
        "core/straight.py",
        'if node.kind == "pivot" and',
        "if",
        "test_whatever_happens_the_straight_way_is_the_walk",
    ),
    Mutation(
        8,
        "core/straight.py",
        'if node.kind == "retriable" and not after.no_return:',
        'if node.kind == "retriable":',
        "test_whatever_happens_the_straight_way_is_the_walk",
    ),
    Mutation(
        8,
        "core/straight.py",
        " or state.cancel is not None",
        "",
        "test_whatever_happens_the_straight_way_is_the_walk",
    ),
    Mutation(
        10,
        "core/straight.py",
        " or state.final",
        "",
        "test_what_is_said_after_the_end_or_was_not_asked_is_the_walks",
    ),
    Mutation(
        10,
        "core/straight.py",
        "e.SagaCompleted(after.unconfirmed)",
        "e.SagaCompleted()",
        "test_whatever_happens_the_straight_way_is_the_walk",
    ),
    Mutation(
        12,
        "core/straight.py",
        "    except KeyboardInterrupt:\n        raise\n    except",
        "    except",
        "test_whoever_interrupts_a_function_ends_it",
    ),
    Mutation(
        12,
        "core/straight.py",
        "        raise TypeError(path)\n",
        "        pass\n",
        "test_what_looks_like_a_command_is_the_walks",
    ),
    Mutation(
        12,
        "core/straight.py",
        'node.do(plan.read(after.data[""]))',
        'node.do(plan.decoders.setdefault(after.data[""], plan.read(after.data[""])))',
        "test_what_a_function_does_to_what_it_was_handed_nobody_sees",
    ),
    Mutation(
        13,
        "core/evolve.py",
        "    state.data = {**state.data, event.scope: bytes(event.data)}\n",
        "    state.data = {**state.data, event.scope: bytes(event.data)}\n"
        "    state.started_with = bytes(event.data)\n",
        "test_rule_13_what_was_merged_does_not_make_it_another_start",
    ),
    Mutation(
        2,
        "core/state.py",
        "nodes=self.nodes.copy(), timers=self.timers.copy()",
        "nodes=self.nodes, timers=self.timers",
        "test_an_instance_begins_with_nothing_whatever_others_did",
    ),
    Mutation(
        3,
        "core/straight.py",
        "leg is None or leg.then is None:",
        "leg is None:",
        "test_documents_that_do_not_fit_are_the_walks",
    ),
    Mutation(
        3,
        "core/plan.py",
        "is_kept=read is not ignore",
        "is_kept=True",
        "test_of_a_reply_that_does_not_matter_nothing_is_kept",
    ),
    Mutation(
        3,
        "core/codec.py",
        "if type(codec) is JsonCodec else codec",
        "if isinstance(codec, JsonCodec) else codec",
        "test_a_codec_of_ones_own_is_asked_by_the_straight_way_too",
    ),
    Mutation(
        5,
        "core/evolve.py",
        "if step is IDLE and do\n",
        "if step is IDLE\n",
        "test_rule_05_backward",
    ),
    Mutation(
        13,
        "core/straight.py",
        " and not state.position",
        "",
        "test_whatever_happens_the_straight_way_is_the_walk",
    ),
    Mutation(
        1,
        "core/state.py",
        "self.position + events",
        "self.position",
        "test_whatever_happens_the_straight_way_is_the_walk",
    ),
    Mutation(
        2,
        "core/plan.py",
        'id_ending(then.path, "do", 1)',
        'id_ending(then.path, "do", 2)',
        "test_whatever_happens_the_straight_way_is_the_walk",
    ),
    Mutation(
        3,
        "core/straight.py",
        "due if len(after.timers) == 1 else after.wake_at",
        "due",
        "test_what_wakes_it_next_may_be_the_deadline_of_the_saga",
    ),
)
