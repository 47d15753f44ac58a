"""Which tabs lead to a panel."""

from __future__ import annotations

from playwright.sync_api import Page

from workbench.app import GROUPS

GROUP = {label: group for group, panels in GROUPS for label, _ in panels}
"""By panel, the tab above its own."""


def bring(page: Page, label: str) -> None:
    """Bring a panel to the front, as a person does."""
    group = page.get_by_role("tab", name=GROUP[label], exact=True)
    if group.count():
        group.click()
    else:  # a narrow page keeps what does not fit behind a button
        page.locator(".overflow-menu > button").first.click()
        page.locator(".overflow-dropdown button", has_text=GROUP[label]).first.click()
    page.get_by_role("tab", name=label, exact=True).click()
