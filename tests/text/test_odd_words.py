"""Words of any script, files in any encoding, and texts that are none."""

import codecs
import pathlib
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import collapse_jax as cj
from collapse_jax.sources.empirical import EmpiricalLabels
from collapse_jax.text import load_texts
from collapse_jax.text.words import find_words

FOUND = {
    "plain": ("The cat sat", "the cat sat"),
    "capital letters": ("THE The tHe", "the the the"),
    "apostrophe": ("the cat's", "the cat's"),
    "curly apostrophe": ("the cat’s", "the cat’s"),
    "two apostrophes": ("rock'n'roll", "rock'n'roll"),
    "apostrophe at the edges": ("'tis dogs'", "tis dogs"),
    "doubled apostrophe": ("o''clock", "o clock"),
    "apostrophe after a mark": ("Zoe\u0301's", "zoé's"),
    "digits": ("2nd h2o 42", "nd h o"),
    "digits of another script": ("क२ख ٣ب", "क ख ب"),
    "superscript": ("house¹ house², x² y", "house house x y"),
    "numbers that are no digits": ("½cup CO₂ ①a Ⅷ b", "cup co a b"),
    "underscores": ("snake_case __init__", "snake case init"),
    "hyphen": ("well-known", "well known"),
    "soft hyphen": ("co\xadop\xaderate", "cooperate"),
    "dashes and quotes": ("“yes”—no…", "yes no"),
    "no break space": ("a\xa0b\u2009c\u3000d", "a b c d"),
    "zero-width space": ("ไทย\u200bดี", "ไทย ดี"),
    "byte order mark": ("\ufeffone\ufefftwo", "one two"),
    "line breaks": ("a\r\nb\rc\u2028d\x0ce", "a b c d e"),
    "tabs": ("a\tb\vc", "a b c"),
    "composed accent": ("CAFÉ", "café"),
    "decomposed accent": ("cafe\u0301 CAFE\u0301", "café café"),
    "two marks in either order": ("a\u0323\u0302 a\u0302\u0323", "ậ ậ"),
    "mark without a composed letter": ("x\u0301y", "x\u0301y"),
    "struck letters": ("z\u0338\u0321a", "z\u0338\u0321a"),
    "leading mark": ("\u0301abc", "abc"),
    "mark after a digit": ("1\u0301 a1\u0301b", "a b"),
    "mark after an apostrophe": ("a'\u0301b", "a b"),
    "Angstrom and Kelvin": ("\u212b \u212a", "å k"),
    "Ohm": ("\u2126", "ω"),
    "Turkish": ("İstanbul ılık", "i\u0307stanbul ılık"),
    "German": ("STRASSE Straße", "strasse straße"),
    "Greek": ("ΟΔΟΣ ὈΔΌΣ", "οδο\u03c2 ὀδό\u03c2"),
    "Vietnamese": ("Tiếng Việt", "tiếng việt"),
    "Hawaiian": ("Hawai\u02bbi", "hawai\u02bbi"),
    "Devanagari": ("हिन्दी में क्षत्रिय", "हिन्दी में क्षत्रिय"),
    "Devanagari with a joiner": ("क्\u200dष क्\u200cष", "क्\u200dष क्\u200cष"),
    "Bengali joiner before a mark": ("র\u200d্য", "র\u200d্য"),
    "Tamil": ("தமிழ் மொழி", "தமிழ் மொழி"),
    "Malayalam joiner at the end": ("അവന്\u200d എന്\u200dറെ", "അവന്\u200d എന്\u200dറെ"),
    "Sinhala": ("ශ්\u200dරී ලංකා", "ශ්\u200dරී ලංකා"),
    "Burmese": ("မြန်မာ", "မြန်မာ"),
    "Khmer": ("ខ្មែរ", "ខ្មែរ"),
    "Tibetan": ("བོད་ཡིག", "བོད ཡིག"),
    "Thai": ("กัลยาณมิตร ภาษาไทย", "กัลยาณมิตร ภาษาไทย"),
    "Arabic": ("السَّلَامُ عَلَيْكُمْ", "السَّلَامُ عَلَيْكُمْ"),
    "Persian": ("می\u200cخواهم نمی\u200cدانم", "می\u200cخواهم نمی\u200cدانم"),
    "joiner at the end": ("کتاب\u200c ها", "کتاب ها"),
    "joiner at the start": ("\u200cکتاب", "کتاب"),
    "Hebrew": ("שָׁלוֹם", "שָׁלוֹם"),
    "Korean": ("한국어", "한국어"),
    "Korean, decomposed": ("\u1112\u1161\u11ab", "한"),
    "Chinese": ("我爱你。你好", "我爱你 你好"),
    "Japanese": ("か\u3099 カ\u3099", "が ガ"),
    "beyond 16 bits": ("𐐀𐐨 𝒳", "𐐨𐐨 𝒳"),
    "emoji": ("a ❤️ b 👩\u200d💻 c", "a b c"),
    "marks of direction": ("\u200fאב\u200e ab", "אב ab"),
    "replacement characters": ("a\ufffdb", "a b"),
    "lone surrogates": ("a\ud800b", "a b"),
    "a sentence on a file": ("I read book.txt", "i read book txt"),
    "a suffix alone": ("txt", "txt"),
    "one word and a full stop": ("end.", "end"),
}


@pytest.mark.parametrize("case", FOUND)
def test_words_of_any_script(case):
    text, words = FOUND[case]
    expected = [unicodedata.normalize("NFC", word) for word in words.split()]
    assert find_words(text) == expected
    source = cj.Empirical.words(text)
    assert sorted(source.names) == sorted(set(expected))
    assert source.num_rows == len(expected)


def file_of(folder, content, name="text.dat"):
    path = folder / name
    path.write_bytes(content)
    return path


ENCODED = {
    "UTF-8": "née दी".encode(),
    "UTF-8 with a mark": codecs.BOM_UTF8 + "née दी".encode(),
    "UTF-16 little endian": codecs.BOM_UTF16_LE + "née दी".encode("utf-16-le"),
    "UTF-16 big endian": codecs.BOM_UTF16_BE + "née दी".encode("utf-16-be"),
    "UTF-32 little endian": codecs.BOM_UTF32_LE + "née दी".encode("utf-32-le"),
    "UTF-32 big endian": codecs.BOM_UTF32_BE + "née दी".encode("utf-32-be"),
    "lines of Windows": "née\r\nदी\r\n".encode(),
    "lines of an old Mac": "née\rदी".encode(),
    "control characters": "née\x07\x1b दी\x7f".encode(),
}


@pytest.mark.parametrize("case", ENCODED)
def test_files_in_known_encodings(case, tmp_path):
    assert set(cj.Empirical.words(file_of(tmp_path, ENCODED[case])).names) == {"née", "दी"}


REFUSED_FILES = {
    "Latin-1": ("née".encode("latin-1"), r"text.dat: not UTF-8 \(byte 0xe9 at offset 1\); save it"),
    "Windows": ("“née”".encode("cp1252"), r"not UTF-8 \(byte 0x93 at offset 0\); .*iconv"),
    "Shift JIS": ("日本".encode("shift-jis"), "not UTF-8 .*; save it as UTF-8"),
    "UTF-8 cut short": ("née".encode()[:2], r"not UTF-8 \(byte 0xc3 at offset 1\)"),
    "surrogates": (b"a\xed\xa0\x80", "not UTF-8"),
    "overlong": (b"\xc0\x80", "not UTF-8"),
    "UTF-16 without a mark": ("a cat".encode("utf-16-le"), "NUL at character 1, as in UTF-16"),
    "UTF-16 cut short": (codecs.BOM_UTF16_LE + b"a\0b", r"not UTF-16 \(byte 0x62 at offset 4\)"),
    "UTF-16 of lone surrogates": (codecs.BOM_UTF16_LE + b"\0\xd8a\0", "not UTF-16"),
    "UTF-32 of no character": (codecs.BOM_UTF32_LE + b"\xff\xff\xff\xff", "not UTF-32"),
    "NUL": (b"a cat\0 sat", "NUL at character 5, .*save it as UTF-8"),
    "zip": (b"PK\x03\x04\x14\0\0\0\x08\0", "NUL at character 5"),
    "gzip": (b"\x1f\x8b\x08\0", r"not UTF-8 \(byte 0x8b"),
    "picture": (b"\x89PNG\r\n\x1a\n", r"not UTF-8 \(byte 0x89"),
    "empty": (b"", "it has no words; pass a text with letters"),
    "mark only": (codecs.BOM_UTF8, "it has no words"),
    "UTF-16 mark only": (codecs.BOM_UTF16_BE, "it has no words"),
    "blanks": (b" \n\t\r\n ", "it has no words"),
    "digits only": (b"12 34\n56", "it has no words"),
}


@pytest.mark.parametrize("case", REFUSED_FILES)
def test_other_files_are_refused_in_one_line(case, tmp_path):
    content, message = REFUSED_FILES[case]
    with pytest.raises(cj.ArgumentError, match=rf"Empirical.words=.*{message}") as error:
        cj.Empirical.words(file_of(tmp_path, content))
    assert "\n" not in str(error.value)


REFUSED = {
    "empty": ("", "Empirical.words='' .*no words"),
    "blanks": (" \n ", "no words"),
    "digits": ("12 34", "no words"),
    "underscores": ("___", "no words"),
    "marks only": ("\u0301 \u0e31", "no words"),
    "joiners only": ("\u200c\u200d", "no words"),
    "emoji only": ("👩\u200d💻 ❤️", "no words"),
    "soft hyphens": ("\xad", "no words"),
    "name of a text": ("book.txt", r"the name of a file; pass pathlib.Path\('book.txt'\)"),
    "path of a text": ("/data/My.TXT", "the name of a file"),
    "name and line break": ("book.txt\n", "the name of a file"),
    "Markdown": ("README.md", "the name of a file"),
    "PDF": ("paper.pdf", "the name of a file"),
    "Windows path": (r"C:\texts\book.txt", "the name of a file"),
    "existing file": ("here", r"'here' .*the name of a file; pass pathlib.Path\('here'\)"),
    "existing file with blanks": ("my notes", "the name of a file"),
    "no home": ("~nobody\0", "a NUL at character 7"),
    "NUL": ("a\0b", "a NUL at character 1, .*decode"),
    "bytes": (b"a cat", "Empirical.words=b'a cat' .*it must be a text; pass a str"),
    "None": (None, "Empirical.words=None "),
    "number": (3, "Empirical.words=3 "),
    "list": (["a", "cat"], r"Empirical.words=\['a', 'cat'\] "),
    "missing file": (pathlib.Path("gone.txt"), "gone.txt: No such file"),
    "folder": (pathlib.Path("."), "Is a directory"),
    "long name": (pathlib.Path("x" * 300), "File name too long"),
    "NUL in a path": (pathlib.Path("a\0b"), "null"),
    "another home": (pathlib.Path("~nobody-here/a"), "home directory"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_text_is_refused_in_one_line(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("here", "my notes"):
        file_of(tmp_path, b"words", name)
    text, message = REFUSED[case]
    with pytest.raises(cj.ArgumentError, match=message) as error:
        cj.Empirical.words(text)
    assert "\n" not in str(error.value)


def test_a_home_folder_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    file_of(tmp_path, b"at home", "a.txt")
    assert cj.Empirical.words(pathlib.Path("~/a.txt")).names == ("at", "home")
    with pytest.raises(cj.ArgumentError, match="the name of a file"):
        cj.Empirical.words("~/a.txt")


def test_one_long_line_and_one_long_word():
    """An array of texts would need 4 bytes * 300,000 words * 300,000 letters."""
    source = cj.Empirical.words("to be or " * 100_000 + "a" * 300_000)
    assert source.names[:3] == ("be", "or", "to")
    assert source.counts.tolist() == [100_000] * 3 + [1]


def test_labels_of_texts_are_sorted_as_by_numpy():
    texts = np.random.default_rng(0).choice(["b", "a", "é", "aa", "𐐨", "", "Z", "ﬁ"], 60)
    names, counts = np.unique(texts, return_counts=True)
    order = np.lexsort((names, -counts))
    found = EmpiricalLabels.from_texts(texts)
    assert found.names == tuple(names[order].tolist())
    assert all(type(name) is str for name in found.names)
    np.testing.assert_array_equal(found.counts, counts[order])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_documents_are_read_by_their_mark(encoding, tmp_path):
    lines = "née दी\r\n \r\nend\n" * 30
    for number in range(3):
        file_of(tmp_path, lines.encode(encoding), f"{number}.txt")
        file_of(tmp_path, b"\0\x05\x16\x07", f"._{number}.txt")  # macOS writes them next to files
    found = load_texts(str(tmp_path), block_size=4, vocab_size=260).tokenizer
    assert "née दी\n" in found.decode(found.encode_lines(["née दी\n"])[0])


@pytest.mark.parametrize("content", ["née".encode("latin-1"), "a cat".encode("utf-16-le")])
def test_documents_in_other_encodings_are_refused(content, tmp_path):
    for number in range(3):
        file_of(tmp_path, content, f"{number}.txt")
    with pytest.raises(cj.ArgumentError, match=r"texts=.*0.txt: .*save it as UTF-8"):
        load_texts(str(tmp_path))


ANY_TEXT = st.text(
    st.one_of(
        st.sampled_from("aBé\u0301\u0e01\u0e31\u094d\u200c\u200d'’\xad_1 \0\n\ud800"),
        st.characters(),
    ),
    max_size=12,
)


def reference(text):
    """Find words one character after the other."""
    text = unicodedata.normalize("NFC", text.lower()).replace("\xad", "")
    kinds = [
        "m" if unicodedata.category(one).startswith("M") else
        "j" if one in "\u200c\u200d" else
        "'" if one in "'’" else
        "l" if one.isalpha() and not unicodedata.category(one).startswith("N") else " "
        for one in text
    ]  # fmt: skip
    words, word = [], ""
    for index, (one, kind) in enumerate(zip(text, kinds, strict=True)):
        rest = "".join(kinds[index:]).lstrip("j")
        before = "".join(kinds[:index]).rstrip("j")[-1:]
        apostrophe = kind == "'" and kinds[index + 1 : index + 2] == ["l"]
        joiner = kind == "j" and (before == "m" or rest[:1] in ("l", "m"))
        marked = kind == "m" and word[-1:] not in ("'", "’")
        if kind == "l" or (word and (marked or joiner or apostrophe)):
            word += one
            continue
        words, word = [*words, word], ""
    return [word for word in [*words, word] if word]


@given(ANY_TEXT)
@example("a\u200d\u0301b\u200c'c")
def test_any_text_has_words_or_is_refused(text):
    expected = reference(text)
    assert find_words(text) == expected
    assert find_words(unicodedata.normalize("NFD", text)) == expected
    if "\0" in text or not expected:
        with pytest.raises(cj.ArgumentError, match=r"Empirical.words=") as error:
            cj.Empirical.words(text)
        assert "\n" not in str(error.value)
    elif "." not in text:  # no name of a file
        assert sorted(cj.Empirical.words(text).names) == sorted(set(expected))


def words_or_refusal(path):
    try:
        return list(cj.Empirical.words(path).names)
    except cj.ArgumentError as error:
        return str(error).splitlines()


@given(st.binary(max_size=12), st.sampled_from((b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE)))
def test_any_file_has_words_or_is_refused(tmp_path_factory, content, mark):
    found = words_or_refusal(file_of(tmp_path_factory.getbasetemp(), mark + content))
    assert all(found)
    assert len(found) == 1 or not any(" " in word for word in found)
