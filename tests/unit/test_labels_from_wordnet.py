from pathlib import Path

from miradouro.bundles.labels import LABELS_FILE, PARENTS_FILE

from tools.labels_from_wordnet import main

# A tiny WordNet: bank (river), bank (money box), and a wolfhound that is a dog that is an entity.
NOUNS = """\
  1 licence text | not data
00000001 03 n 01 entity 0 000 | all there is
00000002 05 n 02 dog 0 domestic_dog 0 001 @ 00000001 n 0000 | barks
00000003 05 n 02 wolfhound 0 Canis_magnus 0 002 @ 00000002 n 0000 ~ 00000009 n 0000 | big
00000004 17 n 01 slope 0 001 @ 00000001 n 0000 | ground
00000005 17 n 01 bank 0 001 @ 00000004 n 0000 | of a river
00000006 06 n 02 bank 0 money_box 0 001 @ 00000001 n 0000 | of a child
"""


def generated(folder: Path) -> tuple[list[str], list[str]]:
    (folder / "synsets.txt").write_text("n00000003\nn00000005\nn00000006\n")
    (folder / "data.noun").write_text(NOUNS)
    main([str(folder / "synsets.txt"), str(folder / "data.noun"), str(folder)])
    return (folder / LABELS_FILE).read_text().splitlines(), (folder / PARENTS_FILE).read_text().splitlines()


def test_rows_carry_label_synonyms_and_parents(tmp_path: Path) -> None:
    labels, _ = generated(tmp_path)
    assert labels[0] == "n00000003\twolfhound\tCanis magnus\tdog"


def test_homonyms_get_distinct_labels_and_a_shared_parent(tmp_path: Path) -> None:
    labels, parents = generated(tmp_path)
    assert labels[1] == "n00000005\tbank (slope)\t\tbank|slope"
    assert labels[2] == "n00000006\tmoney box\t\tbank"
    assert parents == ["bank\t", "dog\tdomestic dog", "slope\t"]
