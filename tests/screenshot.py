"""Take the picture of the README: the Placement tab on the detector, in real JupyterLab. Run by ``make screenshot``."""

import os
import sys
import tempfile
from pathlib import Path

from tests.lab import Lab

CELL = "from workbench import Settings, Workbench, sample_path\n\nWorkbench(sample_path('detector'), settings=Settings())"


def main(target):
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_DATA_HOME"] = folder
        with Lab(folder) as lab:
            lab.write("detector.ipynb", [CELL])
            with lab.open("detector.ipynb", width=1280, height=1240) as page:
                page.view.keyboard.press("Control+b")  # the file browser would take a fifth of the picture
                page.run_all()
                page.view.click(".wb-tabs .lm-TabBar-tabLabel:text-is('Placement')")
                page.view.locator(".wb-app select:visible").first.select_option("8.6")
                page.view.wait_for_timeout(6000)  # the graph is drawn last
                page.view.locator(".wb-table-select:visible").first.select_option(label="CUDA (4)")
                page.view.locator(".wb-table-row:visible", has_text="NonMaxSuppression").first.click()
                page.view.wait_for_timeout(2000)
                page.shot(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
