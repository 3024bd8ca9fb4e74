from tests.support.promtool import promtool

WELL = "# HELP exhaust_ready 1 while it is ready.\n# TYPE exhaust_ready gauge\nexhaust_ready 1\n"
WITHOUT_HELP = "# TYPE exhaust_ready gauge\nexhaust_ready 1\n"


def test_promtool_tells_sound_metrics_from_others() -> None:
    assert promtool("check", "metrics", stdin=WELL).code == 0
    told = promtool("check", "metrics", stdin=WITHOUT_HELP)
    assert told.code
    assert "no help text" in told.text
