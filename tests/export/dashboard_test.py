#!/usr/bin/env python3
"""docs/grafana.json shows what the exporter says, and nothing else."""

import re

from dashboard import Dashboard
from domain import domain_of
from exporter import once
from harness import check, main


def every_metric_is_exported(umemcg):
    with domain_of(umemcg, "/a") as domain:
        domain.done("set", "/a", "memory.max", "64M")
        exported = once(umemcg, "--domain", domain.name)
        board = Dashboard(umemcg.source_dir)
        names = {name for name, _ in exported.values}
        check(board.metrics() <= names, f"{board.metrics() - names}")
        shown = {"umemcg_memory_usage_bytes", "umemcg_memory_limit_bytes",
                 "umemcg_memory_available_bytes", "umemcg_events_total",
                 "umemcg_stall_seconds_total", "umemcg_reclaimed_bytes_total",
                 "umemcg_unaccounted_bytes"}
        check(shown <= board.metrics(), f"{shown - board.metrics()}")
        # Counters are shown as rates, gauges as they are.
        for query in board.queries():
            for name in re.findall(r"umemcg_\w+", query):
                counter = exported.types[name] == "counter"
                check(counter == ("rate(" in query or "increase(" in query),
                      f"{query}: {name} is a {exported.types[name]}")


def every_label_is_exported(umemcg):
    with domain_of(umemcg, "/a") as domain:
        domain.done("set", "/a", "memory.max", "64M")
        exported = once(umemcg, "--domain", domain.name)
        labels = {}
        for name, pairs in exported.values:
            labels.setdefault(name, set()).update(dict(pairs))
        for query in Dashboard(umemcg.source_dir).queries():
            for name, inside in re.findall(r"(umemcg_\w+)\{([^}]*)\}", query):
                used = set(re.findall(r"(\w+)=~?\"", inside))
                check({"domain", "group"} <= used <= labels[name],
                      f"{query}: {used} of {labels[name]}")


def it_can_be_imported(umemcg):
    """What Grafana needs: ids, places, and one variable for the source."""
    board = Dashboard(umemcg.source_dir)
    check(board.document["title"] and board.document["uid"]
          and board.document["schemaVersion"] >= 30, "no title, uid, schema")
    ids = [panel["id"] for panel in board.panels()]
    check(len(set(ids)) == len(ids), "panels with the same id")
    taken = set()
    for panel in board.panels():
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        check(place["x"] + place["w"] <= 24 and not cells & taken,
              f"{panel['title']} lies over another")
        taken |= cells
        check(panel["datasource"]["uid"] == "${datasource}", panel["title"])
        check(panel["description"], f"{panel['title']} has no description")
    kinds = {variable["name"]: variable["type"]
             for variable in board.variables()}
    check(kinds == {"datasource": "datasource", "domain": "query",
                    "group": "query"}, f"{kinds}")


if __name__ == "__main__":
    main([every_metric_is_exported, every_label_is_exported,
          it_can_be_imported])
