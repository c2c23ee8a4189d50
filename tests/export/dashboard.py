"""docs/grafana.json, as tests look at it."""

import json
import os
import re


class Dashboard:
    def __init__(self, source_dir):
        path = os.path.join(source_dir, "docs/grafana.json")
        with open(path, encoding="utf-8") as file:
            self.document = json.load(file)

    def panels(self):
        return self.document["panels"]

    def variables(self):
        return self.document["templating"]["list"]

    def variable_queries(self):
        return [variable["query"] for variable in self.variables()
                if variable["type"] == "query"]

    def queries(self, values=None):
        """Those of the panels; with the variables filled in."""
        found = [target["expr"] for panel in self.panels()
                 for target in panel.get("targets", [])]
        for name, value in (values or {}).items():
            found = [re.sub(rf"\$\{{?{name}\b\}}?", value, query)
                     for query in found]
        return found

    def metrics(self):
        """The names of ours that its queries say."""
        return {name
                for query in [*self.queries(), *self.variable_queries()]
                for name in re.findall(r"\b(umemcg_\w+|exposer_\w+)", query)}
