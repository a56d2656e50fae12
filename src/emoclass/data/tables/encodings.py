"""Guess the encoding of text that is not UTF-8: the one in which it reads most like one of many languages."""

import codecs
import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property

from emoclass.data.tables.mixed import UTF8

# In order of preference where the text is the same. Their names in Python, with how much rarer they are than the first.
_WESTERN = {"cp1252": 0.0, "iso8859-15": 4.0, "cp850": 3.0, "mac-roman": 3.0}
_CENTRAL = {"cp1250": 1.0, "iso8859-2": 2.0, "cp852": 4.0}
_CYRILLIC = {"cp1251": 1.0, "koi8-r": 2.0, "koi8-u": 2.5, "cp866": 3.0, "iso8859-5": 3.0, "mac-cyrillic": 4.0}
_GREEK = {"cp1253": 1.0, "iso8859-7": 1.5}
_TURKISH = {"cp1254": 1.0}
_BALTIC = {"cp1257": 1.0}
_HEBREW = {"cp1255": 1.0, "iso8859-8": 2.0}
_ARABIC = {"cp1256": 1.0, "iso8859-6": 2.0}
_THAI = {"cp874": 1.0}

_SAMPLE_BYTES = 1 << 14
# A guess is unclear if another is nearly as likely; it is none if its bytes are less likely than this on average. Both
# are logarithms, as are all scores.
_MARGIN = 2.5
_LEAST = -6.5
# Of characters that a language does not have, and that no text has; of odd places of a character, and of known words.
_FOREIGN = math.log(1e-5)
_IMPOSSIBLE = math.log(1e-8)
_ODD_LOG = -4.0
_WORD = 2.0
_MOST_WORDS = 12
_MARKS = "’“”–…«»„‘€\xa0—‚´°£•·§©®™‹›"
_SHARE_OF_MARKS = 0.1
_WORDS = re.compile(r"[^\W\d_]+")
# Capitals and marks within words, and letters of other scripts in Latin words: there are hardly any.
_ODD = re.compile(
    r"(?<=[^\W\d_])(?<![A-ZÀ-ÖØ-ÞŁŚŠŽА-ЯЁΑ-Ω])[A-ZÀ-ÖØ-ÞŁŚŠŽА-ЯЁΑ-Ω]|(?<=[^\W\d_])[^\w\s’‘·”“»\x00-\x7f](?=[^\W\d_])"
    r"|(?<=[A-Za-z])[Ͱ-๛\u2e80-\uffef]|[Ͱ-๛\u2e80-\uffef](?=[A-Za-z])"
)


class _Alphabet:
    """A language that is written with letters.

    Args:
        encodings: Its encodings.
        letters: Its letters that are not ASCII, the most frequent first.
        words: Some of its most frequent words.
    """

    def __init__(self, encodings: dict[str, float], letters: str, words: str) -> None:
        self.encodings = encodings
        self.words = frozenset(words.split())
        self._letters = letters

    @cached_property
    def _logs(self) -> dict[str, float]:
        weights = {letter: 1 / (rank + 2) for rank, letter in enumerate(self._letters)}
        marks = {mark: 1 / (rank + 2) for rank, mark in enumerate(_MARKS)}
        shares = (1 - _SHARE_OF_MARKS) / sum(weights.values()), _SHARE_OF_MARKS / sum(marks.values())
        found = {mark: math.log(weight * shares[1]) for mark, weight in marks.items()}
        for letter, weight in weights.items():
            found[letter] = math.log(weight * shares[0])
            found.setdefault(letter.upper(), found[letter] + math.log(0.1))
        return found

    def log(self, character: str) -> float:
        """Return the logarithm of the probability of a character that is not ASCII."""
        known = self._logs.get(character)
        if known is not None:
            return known
        return _FOREIGN if character.isprintable() else _IMPOSSIBLE


class _Signs:
    """A language that is written with thousands of signs.

    Args:
        encodings: Its encodings.
        frequent: Its most frequent signs.
        share: Their share of a text.
        coded: An encoding, and the first byte in it above which signs are rare.
        kana: Whether it has katakana, too.
    """

    words: frozenset[str] = frozenset()

    def __init__(
        self, encodings: dict[str, float], frequent: str, share: float, coded: tuple[str, int], kana: bool = False
    ) -> None:
        self.encodings = encodings
        self._frequent, self._share, self._coded, self._kana = frozenset(frequent), share, coded, kana

    def log(self, character: str) -> float:
        """Return the logarithm of the probability of a character that is not ASCII."""
        if character in self._frequent:
            return math.log(self._share / len(self._frequent))
        if character in "、。，！？「」…・～（）：；“”《》\u3000":
            return math.log(0.005)
        if self._kana and "ァ" <= character <= "ー":
            return math.log(0.001)
        codec, rare = self._coded
        try:
            coded = character.encode(codec)
        except UnicodeEncodeError:
            return _IMPOSSIBLE
        if len(coded) < 2 or coded[0] > rare or not character.isalpha():
            return _FOREIGN
        return math.log(0.4 / 3500)


_LANGUAGES = (
    _Alphabet(_WESTERN, "éïèöëñüçê", "the and to of is that it you was for with not are this my be on so have but"),
    _Alphabet(_WESTERN, "äåöé", "och jag är det att en som på inte för med av så hon han var den vi ett har mig när"),
    _Alphabet(_WESTERN, "øåæé", "og jeg er det at en som på ikke for med av af så hun han var den vi et har mig når"),
    _Alphabet(_WESTERN, "äöå", "on ja ei se että olen hän minä mutta niin oli sinä nyt kun mitä tämä en ole minun"),
    _Alphabet(_WESTERN, "éëïöèêüáóà", "de het een ik is niet en dat van je zo wat was voor met hij zij er maar te op"),
    _Alphabet(_WESTERN, "üäöß", "ich und die der das ist nicht du es ein wir mir mich so war auf mit sie er für bin"),
    _Alphabet(_WESTERN, "éàèêçôîûùâœëïÿü", "je de la le et les un une est pas que tu il elle mon ma ça très pour à"),
    _Alphabet(_WESTERN, "èàùòìé", "di che è e il la non un una per mi sono ho con ma più del questo si lo come così"),
    _Alphabet(_WESTERN, "óíáéñ¿¡úü", "de que la el no y me es un una en lo por mi se con estoy te muy qué más los"),
    _Alphabet(_WESTERN, "ãéçáíóêõúàâôüª", "de que o a não e um uma me é eu com você por muito do da minha mais"),
    _Alphabet(_WESTERN, "éàóèíçúòïü·", "de que la el no i és un una em amb per molt més això els les"),
    _Alphabet(_WESTERN, "ðáíéþóöæúý", "og ég að er það í á ekki sem var með hún hann þú mér til mig svo"),
    _Alphabet(_WESTERN, "éáíóúàèìòùâêîôûäëïöüñçãõåøæýÿœ", ""),  # Irish, Galician, Afrikaans, Tagalog and others
    _Alphabet(_CENTRAL, "ąęłóżśćńź", "nie to się w i na jest że z do jak co mi mam już po tak jestem dla mnie"),
    _Alphabet(_CENTRAL, "íáěéčýřžšůúňťďó", "je se to na že jsem v a mi co jak ale tak už ten pro jsi mám si by"),
    _Alphabet(_CENTRAL, "áíéčžýšľúťôňďóäĺŕ", "je sa to na že som v a mi čo ako ale tak už ten pre si mám by"),
    _Alphabet(_CENTRAL, "áéöőóüíúű", "a az nem és hogy is egy ez van vagyok meg de ha már nagyon volt mit csak"),
    _Alphabet(_CENTRAL, "čšžćđ", "je se da i na u to sam mi za ne što kako od su bi ali me si sa"),
    _Alphabet(_CENTRAL, "ăîâşţșț", "de nu şi că la o un în sunt este mi am ce pe mai cu a din e foarte"),
    _Alphabet(_CYRILLIC, "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё", "и в не на я что с как это мне он меня ты так но у"),
    _Alphabet(_CYRILLIC, "оаинвіетрсклудмпяьзбйгчхжшюцщїєфґ", "і в не на я що з як це мені він мене ти так але у ми"),
    _Alphabet(_CYRILLIC, "аиоетнрсвлкдпмзгъубячщжцшйхюфь", "и да се на не за съм от е ми в с че но ме то как"),
    _Alphabet(_CYRILLIC, "аоиенртсјвукдмлпзгбчшцњжхћљђфџѓќѕ", "и да је се на сам у не ми то за што од су но"),
    _Alphabet(_GREEK, "αοιετσνηυρπκμλωςίόάέδγήώύχθφβζξψϊϋΐ", "και το να η είναι με δεν που μου τι για θα σε ο την"),
    _Alphabet(_TURKISH, "ıüğşçöâî", "bir bu çok ve ne için ben ama da de o değil gibi var daha beni mi"),
    _Alphabet(_BALTIC, "ėšųžąįčęū", "ir aš tai kad ne man yra labai su į tu kaip bet mane jau ką"),
    _Alphabet(_BALTIC, "āīēšķņļžčūģ", "ir es un man ka tas ar no ļoti nav bet kā tu uz mani jau"),
    _Alphabet(_BALTIC | {"cp1252": 1.0}, "äõüöšž", "ja on ei ma see et oli mul aga väga nii kui ta olen mis mind"),
    _Alphabet(_HEBREW, "יואהלמתרבשנדחקפעםזסצטכגןךףץ", "אני לא את זה של על אבל מה כל הוא היא לי"),
    _Alphabet(_ARABIC, "اليمنورتبةعدسفهكقحجأشطصخضغذثىإزءظئؤآ؟،؛پچژگ", "من في أنا لا على هذا ما إلى أن يا كل جدا"),
    _Alphabet(_THAI, "านรกอเ่มงยลวดต้ทสัะ็ปคีิบหไาีุูใแขจพชณโผถซศษธฉฟภญฐึืำ์ๆฝฮ๊๋ฤฎฏฑฌฆฬ", ""),
    _Signs(
        {"cp932": 1.0, "euc-jp": 2.0},
        "いうえおかがきぎくぐけげこごさざしじすずせそただちっつてでとどなにぬねのはばひびふへべほまみむめもやゆよらりるれろわをんょゃ",
        0.6, ("cp932", 0x97), kana=True,
    ),
    _Signs(
        {"gb18030": 1.0},
        "的一是不了在人有我他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然"
        "没起还发成事只作当想看文无开手用行方又如前所本见经头面公同已老从动两长知样现很太真今非常爱喜欢难受伤高兴感觉妈吗吧啊哭怕",
        0.5, ("gb2312", 0xD7),
    ),
    _Signs(
        {"big5": 1.0, "cp950": 1.5, "big5hkscs": 2.0},
        "的一是不了在人有我他這中大來上個國到說們為子和你地出道也時年得就那要下以生會自著去之過家學對可她裡後小麼心多天而能好都然"
        "沒起還發成事只作當想看文無開手用行方又如前所本見經頭面公同已老從動兩長知樣現很太真今非常愛喜歡難受傷高興感覺媽嗎吧啊哭怕",
        0.5, ("big5", 0xC8),
    ),
    _Signs(
        {"euc-kr": 1.0, "cp949": 1.5},
        "이다가는은을를에고어지아하해한나도요기서로의사있그게라자리들네거내면대니보인시마만너무제정수일안무슨왜오늘말것까게없않았었"
        "했습때여야우러전좋싶화스러워행복진짜많기분너저와과부주구모든원",
        0.6, ("euc-kr", 0xC8),
    ),
)  # fmt: skip


def guess_encodings(sample: bytes) -> list[str]:
    """Return the likely encoding of a sample that is not UTF-8: two if they are about as likely, none if unknown.

    Of two, cp1252 comes first, which is by far the most common.
    Lines that are UTF-8, as a whole or but for a few bytes, do not count.
    """
    foreign = b"".join(line for line in sample.splitlines(keepends=True) if _is_foreign(line))[:_SAMPLE_BYTES]
    read = dict[str, tuple[float, str]]()  # by the text, for which the first encoding that reads it stands
    for score, name, text in sorted(_readings(foreign), key=lambda reading: -reading[0]):
        read.setdefault(text, (score, name))
    likely = list(read.values())[:2]
    if not likely or likely[0][0] < _LEAST * sum(byte > 127 for byte in foreign):
        return []
    close = [name for score, name in likely if score >= likely[0][0] - _MARGIN]
    return sorted(close, key=lambda name: name != "cp1252")


def _is_foreign(line: bytes) -> bool:
    """Return whether a line is not ASCII, and not mostly UTF-8."""
    if line.isascii():
        return False
    encoded = sum(map(len, UTF8.findall(line)))
    return encoded < 2 * (sum(byte > 127 for byte in line) - encoded) or not encoded


def _readings(sample: bytes) -> Iterator[tuple[float, str, str]]:
    """Yield the score of each encoding, its name, and the text, in order of preference."""
    if not sample:
        return
    for name in dict.fromkeys(name for language in _LANGUAGES for name in language.encodings):
        decoder = codecs.getincrementaldecoder(name)()
        try:
            text = decoder.decode(sample)
        except UnicodeDecodeError:
            continue
        counts = Counter(c for c in text if not c.isascii())
        words = {word.casefold() for word in _WORDS.findall(text)}
        score = max(
            sum(count * language.log(c) for c, count in counts.items())
            + _WORD * min(_MOST_WORDS, len(words & language.words))
            - language.encodings[name]
            for language in _LANGUAGES
            if name in language.encodings
        )
        cut = len(decoder.getstate()[0])  # a sample may end within a character
        yield score + _ODD_LOG * len(_ODD.findall(text)) + _FOREIGN * cut, name, text
