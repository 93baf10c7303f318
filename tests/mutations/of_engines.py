"""Engines of vendors: requests, answers, and the words of users."""

from __future__ import annotations

from .mutation import Mutation

_CLIENT, _OPENAI = "services/translate/engines/openai_client.py", "tests/unit/translate/test_openai.py::"
_FAILURES = f"{_OPENAI}test_a_failure_of_the_endpoint_has_our_class_and_is_not_repeated_here"

_CT2 = "tests/unit/translate/test_ct2"

_EXECUTOR = "services/orchestrator/pipeline/executor.py"
_REMEDIES, _RECASTING = "tests/unit/orchestrator/test_remedies.py::", "tests/unit/orchestrator/test_recasting.py::"

_JOURNAL = "tests/unit/orchestrator/test_journal.py::"

_ONE_CALL = "tests/unit/asr/test_conversation.py::"

ENGINES = (
    Mutation(
        "words and speakers: a call that is paid for is given up with its caller",
        "services/asr/conversation.py",
        "return await asyncio.shield(self._running[key])",
        "return await self._running[key]",
        (f"{_ONE_CALL}test_a_call_whose_caller_goes_is_made_to_its_end_and_the_next_caller_gets_its_result",),
    ),
    Mutation(
        "words and speakers: an engine finds speakers and its words are thrown away",
        "services/asr/conversation.py",
        "if name not in self._engines.names:",
        "if not self._engines.names:",
        (f"{_ONE_CALL}test_only_the_engine_that_transcribes_finds_the_speakers_too",),
    ),
    Mutation(
        "recast: a scope begins anew while a call of it is in flight",
        _EXECUTOR,
        "if scope not in busy and not self._ending",
        "if not self._ending",
        (f"{_REMEDIES}test_calls_in_flight_end_and_are_stored_before_the_scope_begins_anew",),
    ),
    Mutation(
        "recast: that an engine is out is lost with the worker",
        _EXECUTOR,
        "await self._record(partial(self._journal.amend, steps[key], checkpoint))",
        "pass",
        (f"{_REMEDIES}test_a_run_that_broke_off_after_the_remedy_goes_on_with_it",),
    ),
    Mutation(
        "recast: an engine that the user named is replaced",
        "services/orchestrator/steps/language.py",
        "if self.wanted or engine !=",
        "if engine !=",
        (f"{_RECASTING}test_an_engine_or_a_voice_that_the_user_has_named_is_not_replaced",),
    ),
    Mutation(
        "recast: a result that replaces one under way is never written",
        "services/orchestrator/journal.py",
        "if self._waiting.get(result.key) is result:",
        "if result.key in self._waiting:",
        (f"{_JOURNAL}test_a_result_that_replaces_one_whose_write_is_under_way_is_written_after_it",),
    ),
    Mutation(
        "meaning: a translation of another line is not flagged",
        "services/translate/translation.py",
        "lost = similarity < self._lost_below",
        "lost = False",
        ("tests/unit/translate/test_meaning.py::test_a_translation_far_from_its_source_is_flagged",),
    ),
    Mutation(
        "meaning: a check that fails takes the translation with it",
        "services/translate/meaning.py",
        "        except OneVoiceError:",
        "        except ZeroDivisionError:",
        ("tests/unit/translate/test_meaning.py::test_a_check_that_fails_costs_no_translation",),
    ),
    Mutation(
        "neural translation: a term that the model lost is missing from the line",
        "services/translate/engines/ct2_text.py",
        "if own or sorted(numbers) != list(range(len(masked.targets))):",
        "if own:",
        (f"{_CT2}_text.py::test_a_translation_that_lost_or_doubled_a_stand_in_counts_for_nothing",),
    ),
    Mutation(
        "neural translation: a model that changed on disk is loaded",
        "services/translate/engines/ct2_model.py",
        "if stored is not None and (damaged := stored.damaged()):",
        "if stored is not None and (damaged := stored.damaged(hashes=False)):",
        (f"{_CT2}.py::test_a_fetched_model_whose_bytes_changed_is_not_loaded",),
    ),
    Mutation(
        "neural translation: a cancelled call is computed to its end",
        "services/translate/engines/ct2.py",
        "            given_up.set()",
        "            pass",
        (f"{_CT2}.py::test_a_call_that_was_given_up_computes_no_second_round",),
    ),
    Mutation(
        "recognition: the sound around a region, which a vendor is paid for, costs nothing",
        "services/asr/engines/vendor_regions.py",
        "tuple(within(region, heard.start_ms, words)), sent_s)",
        "tuple(within(region, heard.start_ms, words)))",
        ("tests/unit/asr/test_vendor_regions.py::test_a_region_costs_all_the_sound_that_is_sent_for_it",),
    ),
    Mutation(
        "language model: a found term contradicts the glossary",
        "services/translate/engines/openai_summary.py",
        "if not missed_terms(term.source, term.target, glossary)",
        "if glossary is not None",
        (f"{_OPENAI}test_no_found_term_contradicts_the_glossary",),
    ),
    Mutation(
        "language model: the transcript is described again for each part of it",
        "services/translate/engines/openai_summary.py",
        "transcript_document(part, terms_in(part, self._glossary), self.about)",
        "transcript_document(part, terms_in(part, self._glossary), Summary())",
        (f"{_OPENAI}test_a_long_transcript_is_read_in_parts_each_with_what_was_found_before",),
    ),
    Mutation(
        "language model: an answer that comes twice counts",
        "services/translate/engines/openai_prompt.py",
        " and times[key] == 1",
        "",
        (f"{_OPENAI}test_answers_belong_to_lines_by_id_and_only_what_is_missing_is_asked_again",),
    ),
    Mutation(
        "language model: the SDK repeats requests",
        _CLIENT,
        "max_retries=0",
        "max_retries=1",
        (_FAILURES,),
    ),
    Mutation(
        "language model: the key comes from the environment",
        _CLIENT,
        "api_key=key or _NO_KEY",
        "api_key=key or None",
        (f"{_OPENAI}test_the_key_comes_from_the_settings_alone",),
    ),
    Mutation(
        "language model: an answer may have any size",
        _CLIENT,
        "if self._left < 0:",
        "if False:",
        (_FAILURES,),
    ),
    Mutation(
        "language model: a redirect takes the transcript elsewhere",
        _CLIENT,
        "follow_redirects=False",
        "follow_redirects=True",
        (_FAILURES,),
    ),
    Mutation(
        "language model: a text that follows its line passes as its translation",
        "services/translate/engines/openai_prompt.py",
        "if text and len(text) <= longest",
        "if text",
        (f"{_OPENAI}test_a_text_many_times_as_long_as_its_line_is_no_translation",),
    ),
    Mutation(
        "language model: a glossary term that is left aside is not named",
        "services/translate/translation.py",
        "missed_terms=tuple(term.source for term in missed_terms(source, one.text, terms))",
        "missed_terms=()",
        ("tests/unit/translate/test_translation.py::test_terms_that_an_engine_does_not_keep_are_named",),
    ),
)
