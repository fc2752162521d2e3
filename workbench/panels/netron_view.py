"""A model's graph, drawn by Netron, with its nodes coloured by provider and selection both ways."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anywidget
import traitlets

from workbench.panels.netron_server import shared_server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.panels.netron_model import ShownModel
    from workbench.panels.netron_server import NetronServer, Page

STATIC = Path(__file__).parent / "static"
OLD_PAGES = 8


class NetronView(anywidget.AnyWidget):
    """Netron's page in the notebook. It loads when it is first seen.

    Parameters
    ----------
    height : int
        In pixels.
    via : str
        How the browser reaches the page: ``direct`` is the server's own port, ``proxy`` goes through
        jupyter-server-proxy, ``auto`` tries the first where the browser is on this machine, then the second.
    placeholder : str
        Shown while there is no model.
    server : NetronServer or None
        Where pages come from; this process's server where it is ``None``.

    Attributes
    ----------
    selected : str
        Name of the selected node as it is drawn; set it to highlight a node and scroll to it.
    ready : int
        How many nodes are drawn; 0 until then.
    absent : bool
        Whether the selected node is not drawn: Netron shows a constant inside the node that uses it.
    failure : str
        Why nothing is drawn; empty where nothing is wrong.
    """

    _esm = STATIC / "netron_view.js"
    _css = STATIC / "netron_view.css"

    port = traitlets.Int(0).tag(sync=True)
    path = traitlets.Unicode("").tag(sync=True)
    via = traitlets.Enum(["auto", "direct", "proxy"], default_value="auto").tag(sync=True)
    height = traitlets.Int(520).tag(sync=True)
    placeholder = traitlets.Unicode("No model.").tag(sync=True)
    selected = traitlets.Unicode("").tag(sync=True)
    ready = traitlets.Int(0).tag(sync=True)
    absent = traitlets.Bool(default_value=False).tag(sync=True)
    failure = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self, *, height: int = 520, via: str = "auto", placeholder: str = "No model.", server: NetronServer | None = None
    ) -> None:
        super().__init__(height=height, via=via, placeholder=placeholder)
        self._server = server
        self._page: Page | None = None
        self._old: list[Page] = []
        self.observe(self._drawn, "ready")

    def __repr__(self) -> str:
        return f"NetronView({self.ready} nodes drawn)" if self.path else "NetronView(no model)"

    def show(self, shown: ShownModel, colours: Mapping[str, str], name: str) -> None:
        """Show a model.

        Parameters
        ----------
        shown : ShownModel
            The copy to draw.
        colours : mapping of str to str
            ``#rrggbb`` of each provider.
        name : str
            The page's title.

        Raises
        ------
        Unavailable
            When Netron is not installed, or not as expected.
        """
        server = self._server or shared_server()
        page = server.register(shown.data, shown.css(colours), name)
        self._replace()
        self._server, self._page = server, page
        with self.hold_sync():
            self.ready, self.failure, self.absent = 0, "", False
            self.port, self.path = server.port, page.path

    def clear(self) -> None:
        """Show nothing."""
        self._replace()
        with self.hold_sync():
            self.path, self.selected, self.ready, self.failure = "", "", 0, ""

    def close(self) -> None:
        """Close the widget, and stop serving its model."""
        self._forget()
        super().close()

    def _replace(self) -> None:
        """Go on serving the page that is shown: the browser may be loading it still, and learns of another one later."""
        if self._page is not None:
            self._old.append(self._page)
        self._page = None
        self._unregister(self._old[:-OLD_PAGES])

    def _drawn(self, change: dict[str, object]) -> None:
        if change["new"]:
            self._unregister(self._old)

    def _forget(self) -> None:
        self._replace()
        self._unregister(self._old)

    def _unregister(self, pages: list[Page]) -> None:
        for page in [*pages]:
            self._old.remove(page)
            if self._server is not None:
                self._server.unregister(page)
