"""Calls, storage, media, timing and answers to the outside."""

from __future__ import annotations

from .mutation import Mutation

_CHANNEL, _TEST_DEADLINES = "libs/onevoice_kit/grpc/channel.py", "tests/integration/kit_grpc/test_deadlines.py::"
_GUARDS, _TEST_COMMANDS = "libs/onevoice_kit/media_exec/command.py", "tests/unit/mixer/test_commands.py::"
_FILES, _FITTING = "libs/onevoice_kit/storage/file.py", "services/orchestrator/policy/fitting.py"
_TEST_WIRE = "tests/integration/kit_grpc/test_errors_cross_the_wire.py::"

_CALLERS = "tests/integration/kit_grpc/test_callers.py::"
_SCOPES = "tests/integration/kit_grpc/test_object_scopes.py::"

EDGES = (
    Mutation(
        "any identified process may call any method",
        "libs/onevoice_kit/grpc/interceptors.py",
        "if self._identify is not None and not allowed & call.callers:",
        "if False:",
        (
            f"{_CALLERS}test_a_known_caller_may_use_only_methods_that_name_it",
            f"{_CALLERS}test_a_stream_is_refused_to_a_caller_that_its_method_does_not_name",
        ),
    ),
    Mutation(
        "a server trusts every process that reaches it",
        "libs/onevoice_kit/grpc/identity.py",
        'if settings.environment == "development" and is_loopback(settings.grpc_host):',
        "if True:",
        (f"{_CALLERS}test_outside_loopback_a_server_without_identification_refuses_to_start",),
    ),
    Mutation(
        "the key of one caller serves every caller",
        "libs/onevoice_kit/grpc/identity.py",
        """f"{_VERSION}\\ncaller\\n{caller}".encode()""",
        """f"{_VERSION}\\ncaller\\n".encode()""",
        (f"{_CALLERS}test_a_key_calls_one_service_under_one_name_and_nothing_else",),
    ),
    Mutation(
        "a call may name objects of any user",
        "libs/onevoice_kit/grpc/objects.py",
        "        if len(owners) > 1:",
        "        if False:",
        (f"{_SCOPES}test_another_users_words_are_not_read",),
    ),
    Mutation(
        "a call needs no deadline",
        _CHANNEL,
        '        raise Internal(f"The call to {method} has no deadline.", reason="deadline_missing")',
        "        return 3600.0",
        (
            f"{_TEST_DEADLINES}test_a_unary_call_without_a_timeout_is_refused_before_it_is_sent",
            f"{_TEST_DEADLINES}test_a_stream_without_a_timeout_is_refused_before_it_is_sent",
        ),
    ),
    Mutation(
        "a call may outlast the call it is made for",
        _CHANNEL,
        "return timeout if left is None else min(timeout, left)",
        "return timeout",
        (
            f"{_TEST_DEADLINES}test_an_enclosing_deadline_shortens_a_call",
            f"{_TEST_DEADLINES}test_the_first_callers_deadline_bounds_the_second_hop",
        ),
    ),
    Mutation(
        "a stage shows the text of an unknown error",
        "libs/onevoice_kit/grpc/errors.py",
        "    return Internal(details={ERROR_ID: error_id})",
        "    return Internal(str(error), details={ERROR_ID: error_id})",
        (f"{_TEST_WIRE}test_an_unknown_error_shows_an_id_outside_and_the_truth_in_the_log",),
    ),
    Mutation(
        "a request is answered before its commit",
        "services/gateway/dependencies.py",
        'Depends(get_connection, scope="function")',
        'Depends(get_connection, scope="request")',
        ("tests/integration/gateway/test_videos.py::test_a_change_whose_commit_fails_is_answered_with_an_error",),
    ),
    Mutation(
        "a channel keeps its first certificates",
        _CHANNEL,
        "        if self._certificates.changed():",
        "        if False:",
        ("tests/integration/kit_grpc/test_tls.py::test_a_channel_shows_its_new_certificates_without_a_restart",),
    ),
    Mutation(
        "the gateway shows the text of an unknown error",
        "services/gateway/errors.py",
        '        detail, reason = "Something went wrong inside.", "internal"',
        '        reason = "internal"',
        (
            "tests/unit/gateway/test_errors.py::test_internal_errors_are_answered_by_an_id_only",
            "tests/integration/gateway/test_edges.py::test_an_unforeseen_error_is_answered_by_an_id_only",
        ),
    ),
    Mutation(
        "an object is taken for another of its size",
        _FILES,
        " or (facts.sha256 and ref.sha256 and facts.sha256 != ref.sha256):",
        ":",
        ("tests/contract/storage/test_objects.py::test_an_object_that_is_not_the_one_referred_to_is_refused",),
    ),
    Mutation(
        "an upload may have another content than signed",
        _FILES,
        "if grant.sha256 and not hmac.compare_digest(writer.sha256, grant.sha256):",
        "if False:",
        ("tests/integration/kit_data/test_file_storage.py::test_a_body_that_is_not_as_signed_leaves_nothing",),
    ),
    Mutation(
        "an upload may be longer than signed",
        _FILES,
        "        if received > size:\n            break\n",
        "",
        ("tests/integration/kit_data/test_file_storage.py::test_an_endless_body_is_cut_off_at_the_signed_size",),
    ),
    Mutation(
        "ffmpeg opens any format",
        _GUARDS,
        '"-protocol_whitelist", "file,pipe", "-format_whitelist", formats, "-codec_whitelist", decoders',
        '"-protocol_whitelist", "file,pipe", "-codec_whitelist", decoders',
        (
            f"{_TEST_COMMANDS}test_every_outside_input_is_opened_under_all_guards",
            "tests/integration/mixer/test_probe.py::test_a_playlist_that_points_at_another_file",
        ),
    ),
    Mutation(
        "ffmpeg opens any address",
        _GUARDS,
        '"-protocol_whitelist", "file,pipe", "-format_whitelist"',
        '"-format_whitelist"',
        (f"{_TEST_COMMANDS}test_every_outside_input_is_opened_under_all_guards",),
    ),
    Mutation(
        "lines of the dub overlap",
        _FITTING,
        "free_from = start + length + GAP_MS",
        "free_from = start",
        ("tests/unit/orchestrator/test_fitting.py::test_the_rules_hold_whatever_the_lines",),
    ),
    Mutation(
        "a line of the dub leaves no gap before the next",
        _FITTING,
        "free_from = start + length + GAP_MS",
        "free_from = start + length",
        ("tests/unit/orchestrator/test_fitting.py::test_what_cannot_fit_runs_over_and_the_next_line_waits",),
    ),
    Mutation(
        "a user sees another's job",
        "libs/onevoice_jobs/queries.py",
        "statement = select(jobs.c.id).where(jobs.c.id == job_id, jobs.c.user_id == user_id)",
        "statement = select(jobs.c.id).where(jobs.c.id == job_id)",
        ("tests/integration/jobs/test_queries.py::test_another_users_job_is_not_found",),
    ),
)
