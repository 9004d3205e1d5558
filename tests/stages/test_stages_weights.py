from photodouble import weights
from photodouble.stages.events import Progress, Result, Started
from photodouble.stages.weights import FetchConfig, ListConfig, core, run


def test_every_registered_file_is_listed_with_its_licence():
    (result,) = run(ListConfig())
    assert isinstance(result, Result)
    entries = result.values["weights"]
    assert [entry["name"] for entry in entries] == list(weights.REGISTRY)
    assert all(entry["licence"] and entry["origin"] and entry["size"] > 0 for entry in entries)


def test_core_is_what_stages_need_and_nothing_for_the_demo():
    assert {"yunet", "sface", "face_landmarker", "open_nsfw"} <= set(core())
    assert not any(name.startswith(("person_", "demo_", "dlib_")) for name in core())


def test_fetching_reports_each_file_and_where_it_lies():
    events = list(run(FetchConfig(("yunet", "yunet"))))
    assert isinstance(events[0], Started)
    assert events[0].plan["files"] == 1
    assert [event.done for event in events if isinstance(event, Progress)] == [0, 1]
    (entry,) = events[-1].values["weights"]
    assert entry["cached"] is True
    assert entry["path"] == str(weights.path("yunet"))
