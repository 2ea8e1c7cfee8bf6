"""docs/ignored-files.md lists every name that is ignored by default."""

from pathlib import Path

import pytest
from miradouro.core import ignored_names
from miradouro.core.ignored_names import IgnoreCode

PAGE = (Path(__file__).parents[2] / "docs/ignored-files.md").read_text()
TABLE = PAGE.partition("## By default")[2].partition("###")[0].lower()
NAMES = {
    *ignored_names.FOLDERS,
    *ignored_names.FOLDERS_OF_LIBRARIES,
    *(f"…{ending}" for ending in (*ignored_names.FOLDER_ENDINGS, *ignored_names.FILE_ENDINGS, *ignored_names.LIBRARIES)),
    *(f"{beginning}…" for beginning in ignored_names.FOLDER_BEGINNINGS),
}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_table_lists_every_name(name):
    assert f"`{name}`" in TABLE


def test_the_page_has_every_code():
    assert {f"`{code}`" for code in IgnoreCode} <= set(PAGE.replace(",", " ").split())
