"""A headless Chromium that looks at the live page, and what a test asks of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 40.0
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = (
    "--headless=new",
    "--no-sandbox",  # containers have none, and the page is our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> tuple[str, str] | None:
    """Return the paths of Chromium and of its driver; None where there are none."""
    browser = next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@contextmanager
def open_browser(*, width: int = 1280, height: int = 800, dark: bool = False) -> Iterator[Any]:
    """Open a browser; give selenium's driver."""
    from selenium.webdriver import Chrome
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    found = find_chromium()
    assert found is not None, "no Chromium with its driver on this computer"
    options = Options()
    options.binary_location, driver_path = found
    for switch in (*SWITCHES, f"--window-size={width},{height}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(driver_path))
    try:
        driver.set_page_load_timeout(TIMEOUT_S)
        driver.set_script_timeout(TIMEOUT_S)
        if dark:
            _prefer_colours(driver, "dark")
        yield driver
    finally:
        driver.quit()


def _prefer_colours(driver: Any, value: str) -> None:
    """Set which colours pages think that their reader prefers; none with an empty text."""
    features = [{"name": "prefers-color-scheme", "value": value}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@contextmanager
def tablet_in_the_dark(driver: Any) -> Iterator[None]:
    """Let a browser that is open be as a tablet of 820 by 1180 pixels with dark colours."""
    screen = {"width": 820, "height": 1180, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    _prefer_colours(driver, "dark")
    try:
        yield
    finally:
        _prefer_colours(driver, "")
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


class ShownPage:
    """The live page in a browser, through the models that it draws."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def script(self, code: str, *arguments: Any) -> Any:
        """Run JavaScript with ``model``, which finds a model by its name."""
        find = "const model = (name) => Bokeh.documents[0].get_model_by_name(name);"
        return self.driver.execute_script(f"{find} {code}", *arguments)

    def columns(self, source: str) -> dict[str, list[Any]]:
        """Return the columns that the browser has of a source; null where a number is NaN."""
        code = (
            "const data = model(arguments[0]).data; const found = {};"
            "for (const key of Object.keys(data)) found[key] = Array.from(data[key]);"
            "return found;"
        )
        columns: dict[str, list[Any]] = self.script(code, source)
        return columns

    def text(self, name: str) -> str:
        """Return the text of a model, as it is set."""
        return str(self.script("return model(arguments[0]).text;", name))

    def set_model(self, name: str, key: str, value: Any) -> None:
        """Set a property of a model, as a user's hand on its widget does."""
        self.script("model(arguments[0])[arguments[1]] = arguments[2];", name, key, value)

    def n_drawn(self) -> int:
        """Return how often the browser has drawn."""
        return int(self.script("return model('drawn').data.count[0];"))

    def errors(self) -> list[str]:
        """Return what the browser's console calls severe, but for what an earlier page has left."""
        entries, address = self.driver.get_log("browser"), urlsplit(self.driver.current_url).netloc
        return [
            entry["message"]
            for entry in entries
            if entry["level"] == "SEVERE" and address in entry["message"]
        ]


def wait_for_page(driver: Any, url: str, n_drawn: int = 3) -> ShownPage:
    """Open the page, and wait until it has been drawn some times."""
    driver.get(url)
    page = ShownPage(driver)
    deadline_s = time.monotonic() + TIMEOUT_S
    is_there = "return !!(window.Bokeh?.documents[0]?.get_model_by_name('drawn'));"
    while not (driver.execute_script(is_there) and page.n_drawn() >= n_drawn):
        assert time.monotonic() < deadline_s, f"{url} was not drawn in {TIMEOUT_S} s"
        time.sleep(0.1)
    return page
