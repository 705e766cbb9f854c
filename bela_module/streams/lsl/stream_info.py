"""Identity and metadata of outlets, as consumers of LSL read them."""

from __future__ import annotations

import contextlib
from typing import Final

import pylsl

from bela_module.streams.sample_formats import SampleFormat
from bela_module.streams.sink import Origin, StreamFacts
from bela_module.streams.stream_plans import StreamMode, StreamPlan
from bela_module.version import __version__

_LSL_FORMATS: Final = {
    SampleFormat.INT8: pylsl.cf_int8,
    SampleFormat.INT32: pylsl.cf_int32,
    SampleFormat.FLOAT32: pylsl.cf_float32,
    SampleFormat.DOUBLE64: pylsl.cf_double64,
}


def source_id(origin: Origin, stream: str, membership: str = "") -> str:
    """Build the identity by which inlets find a stream again: the same at every start.

    Where variables share a stream, another set of them is another stream.
    """
    identity = f"bela:{origin.board}:{origin.project}:{stream}"
    return f"{identity}:{membership}" if membership else identity


def samples_info(plan: StreamPlan, facts: StreamFacts) -> pylsl.StreamInfo:
    """Describe a stream of samples."""
    settings = plan.settings
    content_type = settings.type if settings is not None else "Bela"
    info = pylsl.StreamInfo(
        plan.name,
        content_type,
        len(plan.variables),
        facts.nominal_rate_hz,
        _LSL_FORMATS[plan.sample_format],
        source_id(facts.origin, plan.name, plan.membership),
    )
    units = tuple(settings.units) if settings is not None and settings.units else ()
    units = units or ("",) * len(plan.variables)
    _describe_channels(info, plan.labels, units, content_type)
    _describe_origin(info, facts.origin)
    acquisition = info.desc().child("acquisition")
    acquisition.append_child_value("mode", plan.mode.value)
    synchronization = info.desc().append_child("synchronization")
    # Importers subtract offset_mean: it is 0, since the stamps are corrected already.
    synchronization.append_child_value("offset_mean", "0")
    synchronization.append_child_value("uncertainty_s", f"{facts.origin.uncertainty_s:.6f}")
    # Without it an importer fits one straight line through a stream and squeezes gaps out.
    can_drop = "true" if plan.mode is StreamMode.DENSE else "false"
    synchronization.append_child_value("can_drop_samples", can_drop)
    return info


def markers_info(name: str, origin: Origin) -> pylsl.StreamInfo:
    """Describe the stream of the markers."""
    info = pylsl.StreamInfo(name, "Markers", 1, 0.0, pylsl.cf_string, source_id(origin, name))
    _describe_channels(info, (name,), ("",), "Markers")
    _describe_origin(info, origin)
    return info


def _describe_channels(
    info: pylsl.StreamInfo, labels: tuple[str, ...], units: tuple[str, ...], content_type: str
) -> None:
    channels = info.desc().append_child("channels")
    for label, unit in zip(labels, units, strict=True):
        channel = channels.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("unit", unit)
        channel.append_child_value("type", content_type)


def _describe_origin(info: pylsl.StreamInfo, origin: Origin) -> None:
    acquisition = info.desc().append_child("acquisition")
    for key, value in {
        "manufacturer": "Bela",
        "model": "Bela",
        "project": origin.project,
        "tick_rate_hz": f"{origin.tick_rate_hz:.6f}",
        "declared_rate_hz": f"{origin.declared_rate_hz:.6f}",
        "compensated_lag": f"{origin.input_delay_s:.6f}",
    }.items():
        acquisition.append_child_value(key, value)
    if origin.instance:
        acquisition.append_child_value("instance", origin.instance)
    if origin.address:
        acquisition.append_child_value("address", origin.address)
    versions = info.desc().append_child("versions")
    versions.append_child_value("dp-bela", __version__)
    with contextlib.suppress(AttributeError):
        versions.append_child_value("liblsl", str(pylsl.library_version()))
