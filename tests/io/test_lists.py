"""Many images by few words."""

import json
from pathlib import Path

import pytest

from groundshift.errors import ImageError
from groundshift.io.lists import Found, find


def touch(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).touch()
    return [str(folder / name) for name in names]


def test_folders_patterns_and_names(tmp_path: Path) -> None:
    b, a, _, _ = touch(tmp_path, "b.tif", "a.TIF", "notes.md", "._a.tif")
    assert [each.path for each in find([str(tmp_path)])] == [a, b]
    assert [each.path for each in find([b, str(tmp_path / "[ab].*"), b])] == [b, a]
    odd = 'NETCDF:"a.nc":v'
    assert find([odd]) == [Found(odd)]


def test_a_text_file_names_images_beside_itself(tmp_path: Path) -> None:
    text = tmp_path / "all.txt"
    text.write_text("# my images\na.tif\n\n  sub/b.tif  \n/else/c.tif\nhttps://there/d.tif\n")
    named = [each.path for each in find([str(text)])]
    assert named == [
        str(tmp_path / "a.tif"),
        str(tmp_path / "sub/b.tif"),
        "/else/c.tif",
        "/vsicurl/https://there/d.tif",
    ]


def item(day: str, **assets: dict[str, object]) -> dict[str, object]:
    return {"type": "Feature", "id": day, "properties": {"datetime": day}, "assets": assets}


def test_stac_items_have_dates(tmp_path: Path) -> None:
    path = tmp_path / "items.json"
    vv = {"href": "./vv.tif", "roles": ["data"]}
    thumb = {"href": "t.png", "roles": ["thumbnail"]}
    path.write_text(json.dumps({"features": [item("2020-01-07T05:30:00Z", vv=vv, thumb=thumb)]}))
    assert find([str(path)]) == [Found(str(tmp_path / "vv.tif"), "2020-01-07T05:30:00Z")]
    assert find([str(path)], "thumb")[0].path == str(tmp_path / "t.png")
    single = tmp_path / "one.geojson"
    single.write_text(json.dumps(item("2020-01-07", vv=vv, vh=dict(vv, href="/a/vh.tif"))))
    with pytest.raises(ImageError, match=r"has the assets vv, vh; say which with asset="):
        find([str(single)])
    assert find([str(single)], "vh") == [Found("/a/vh.tif", "2020-01-07")]
    with pytest.raises(ImageError, match="no asset 'hh', but vv, vh"):
        find([str(single)], "hh")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.txt", "# nothing\n", "names no image"),
        ("x.json", "[1, 2]", "no STAC item"),
        ("x.json", '{"features": []}', "has no items"),
        ("x.json", '{"features": [{"assets": 3}]}', "no STAC item"),
        ("x.txt", None, "cannot be read"),
    ],
)
def test_lists_that_are_none(tmp_path: Path, name: str, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ImageError, match=words):
        find([str(tmp_path / name)])


def test_words_that_stand_for_nothing(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="holds no image"):
        find([str(tmp_path)])
    with pytest.raises(ImageError, match="no file has a name like"):
        find([str(tmp_path / "*.tif")])
