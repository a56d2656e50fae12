"""Made-up sentences in many languages, with the encodings in which files of theirs are found besides UTF-8."""

WESTERN = ("cp1252", "mac_roman", "cp850")
CENTRAL = ("cp1250", "iso8859-2", "cp852")
CYRILLIC = ("cp1251", "koi8-r", "cp866", "iso8859-5", "mac_cyrillic")
BALTIC = ("cp1257",)

SENTENCES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Swedish": (WESTERN, (
        "Jag är så glad", "Det här var tråkigt", "Vi åker hem på lördag", "Hon blev rädd när dörren small",
        "Vad arg jag är på dig!", "Ingen förstår hur jag känner mig", "Äntligen är sommaren här", "Jag saknar mormor",
        "Det gör ont att höra", "Så fin överraskning", "Han skäms för det han sa", "Inget är som förr",
    )),
    "Danish": (WESTERN, (
        "Jeg er så glad i dag", "Det gør mig bange", "Hvorfor græder du?", "Vi kører hjem på lørdag",
        "Jeg er træt af det hele", "Endelig får vi ferie", "Han blev sur over prisen", "Hun elsker sin lille søn",
        "Det smager frygteligt", "Åh nej, ikke igen", "Jeg tør ikke gå ud", "Sikke en hyggelig aften",
    )),
    "Norwegian": (WESTERN, (
        "Jeg gleder meg til å se deg", "Det gjør vondt", "Hun ble så redd at hun gråt", "Nå er jeg lei av dette",
        "Vi får håpe det går bra", "Så hyggelig å høre", "Jeg er sint på naboen", "Han våget ikke å spørre",
        "Ærlig talt er jeg skuffet", "For en nydelig kveld", "Det var kjedelig på møtet", "Jeg savner bestemor",
    )),
    "Finnish": (WESTERN, (
        "Olen tänään todella iloinen", "Miksi sinä itket?", "Pelkään pimeää", "Tämä oli ikävä yllätys",
        "En jaksa enää", "Hän suuttui minulle", "Äiti, missä sinä olet?", "Ihana päästä kotiin", "Kylläpä harmittaa",
        "Minulla on ikävä sinua", "Se haisi kamalalta", "Hyvää syntymäpäivää",
    )),
    "Dutch": (WESTERN, (
        "Ik ben zo blij vandaag", "Wat een rotdag", "Zij werd boos op één van ons", "Ik ben bang in het donker",
        "Het café was gezellig", "Hij huilde de hele avond", "Daar heb ik geen zin in", "Eindelijk vakantie in België",
        "Dat is echt vies", "Ik mis mijn oma", "De coördinatie was vreselijk", "Wat een leuke verrassing",
    )),
    "German": (WESTERN, (
        "Ich bin so glücklich", "Das macht mich wütend", "Warum weinst du?", "Ich habe Angst vor der Prüfung",
        "Schön, dass du da bist", "Das schmeckt scheußlich", "Wir fahren am Samstag nach Hause", "Er schämt sich sehr",
        "Über das Geschenk freue ich mich", "Ich vermisse meine Großmutter", "Endlich Ferien", "Wie ärgerlich",
    )),
    "French": (WESTERN, (
        "Je suis très content", "Ça me fait peur", "Elle a pleuré toute la nuit", "Quelle belle soirée",
        "J'ai été déçu par le film", "C'est dégoûtant", "Tu me manques énormément", "Il est fâché contre nous",
        "Enfin les vacances à la mer", "Où es-tu passé ?", "Je n'aurais pas dû le dire", "Ma mère est inquiète",
    )),
    "Italian": (WESTERN, (
        "Sono così felice oggi", "Non so perché piango", "Questa città mi mette paura", "È stata una bella serata",
        "Che schifo", "Mi manchi più di prima", "Lui è arrabbiato con me", "Finalmente andrà tutto bene",
        "Ho paura del buio", "Però mi dispiace", "Che sorpresa", "La verità fa male",
    )),
    "Spanish": (WESTERN, (
        "Estoy muy feliz", "¿Por qué lloras?", "Me da miedo la oscuridad", "Mañana nos vamos de vacaciones",
        "¡Qué asco!", "Él se enojó conmigo", "Te extraño cada día", "Fue una sorpresa increíble",
        "No sé qué decir", "La niña está triste", "Estoy harto de todo", "Mi corazón late rápido",
    )),
    "Portuguese": (WESTERN, (
        "Estou muito feliz", "Não sei o que dizer", "Tenho medo do escuro", "A minha mãe está triste",
        "Que nojo", "Você me deixou com raiva", "Foi uma emoção enorme", "Saudades da avó",
        "Amanhã começam as férias", "Ninguém me compreende", "Que surpresa boa", "Já não aguento mais isto",
    )),
    "Catalan": (WESTERN, (
        "Estic molt content avui", "Per què plores?", "Tinc por de la foscor", "Això em fa fàstic",
        "Demà comencen les vacances", "La mare està trista", "Quina sorpresa més bonica", "Et trobo a faltar",
        "El cel·lo sona molt bé", "Ell s'ha enfadat amb mi", "No sé què dir", "Gràcies per la felicitació",
    )),
    "Icelandic": (WESTERN, (
        "Ég er svo glaður í dag", "Þetta gerir mig reiðan", "Af hverju grætur þú?", "Ég sakna ömmu minnar",
        "Það var skemmtilegt kvöld", "Hún varð hrædd við myrkrið", "Loksins er komið sumar", "Hann skammast sín",
        "Ég þori ekki út", "Þvílík gleði", "Mér líður illa", "Þetta er ógeðslegt",
    )),
    "Polish": (CENTRAL, (
        "Jestem dzisiaj szczęśliwy", "Dlaczego płaczesz?", "Boję się ciemności", "To było obrzydliwe",
        "Mama jest smutna", "Wściekłem się na niego", "Tęsknię za babcią", "Co za miła niespodzianka",
        "Nie wiem, co powiedzieć", "W sobotę jedziemy nad morze", "Źle się czuję", "Już mam tego dość",
    )),
    "Czech": (CENTRAL, (
        "Jsem dnes velmi šťastný", "Proč pláčeš?", "Bojím se tmy", "To bylo nechutné",
        "Maminka je smutná", "Naštval mě ten řidič", "Stýská se mi po babičce", "Jaké milé překvapení",
        "Nevím, co říct", "V sobotu jedeme k moři", "Cítím se špatně", "Už toho mám dost",
    )),
    "Slovak": (CENTRAL, (
        "Som dnes veľmi šťastný", "Prečo plačeš?", "Bojím sa tmy", "To bolo nechutné", "Mama je smutná",
        "Nahneval ma ten vodič", "Chýba mi stará mama", "Aké milé prekvapenie", "Neviem, čo povedať",
        "V sobotu ideme k moru", "Cítim sa zle", "Už toho mám dosť",
    )),
    "Hungarian": (CENTRAL, (
        "Nagyon boldog vagyok ma", "Miért sírsz?", "Félek a sötétben", "Ez undorító volt",
        "Anya szomorú", "Dühös vagyok a főnökre", "Hiányzik a nagymamám", "Micsoda kellemes meglepetés",
        "Nem tudom, mit mondjak", "Szombaton a tóhoz megyünk", "Rosszul érzem magam", "Elegem van ebből az időből",
    )),
    "Croatian": (CENTRAL, (
        "Danas sam jako sretan", "Zašto plačeš?", "Bojim se mraka", "To je bilo odvratno", "Mama je tužna",
        "Naljutio me taj vozač", "Nedostaje mi baka", "Kakvo lijepo iznenađenje", "Ne znam što reći",
        "U subotu idemo na more", "Osjećam se loše", "Dosta mi je svega, žao mi je",
    )),
    "Romanian": (CENTRAL, (
        "Sunt foarte fericit astăzi", "De ce plângi?", "Mi-e frică de întuneric", "A fost dezgustător",
        "Mama este tristă", "M-a înfuriat şoferul acela", "Mi-e dor de bunica", "Ce surpriză plăcută",
        "Nu ştiu ce să spun", "Sâmbătă mergem la mare", "Mă simt rău", "M-am săturat de toate",
    )),
    "Russian": (CYRILLIC, (
        "Я сегодня очень счастлив", "Почему ты плачешь?", "Мне страшно в темноте", "Какая гадость",
        "Мама грустит", "Он меня разозлил", "Скучаю по бабушке", "Какой приятный сюрприз", "Не знаю, что сказать",
        "В субботу едем на море", "Мне плохо", "Всё надоело, ещё и дождь",
    )),
    "Ukrainian": (("cp1251", "koi8-u", "mac_cyrillic"), (
        "Я сьогодні дуже щасливий", "Чому ти плачеш?", "Мені страшно в темряві", "Яка гидота",
        "Мама сумує", "Він мене розлютив", "Сумую за бабусею", "Який приємний сюрприз", "Не знаю, що сказати",
        "У суботу їдемо на море", "Мені зле", "Усе набридло, ще й дощ",
    )),
    "Bulgarian": (("cp1251", "mac_cyrillic"), (
        "Днес съм много щастлив", "Защо плачеш?", "Страх ме е от тъмното", "Каква гадост", "Мама е тъжна",
        "Той ме ядоса", "Липсва ми баба", "Каква приятна изненада", "Не знам какво да кажа",
        "В събота отиваме на море", "Чувствам се зле", "Писна ми от всичко",
    )),
    "Greek": (("cp1253", "iso8859-7"), (
        "Είμαι πολύ χαρούμενος σήμερα", "Γιατί κλαις;", "Φοβάμαι το σκοτάδι", "Τι αηδία", "Η μαμά είναι λυπημένη",
        "Με θύμωσε ο οδηγός", "Μου λείπει η γιαγιά", "Τι ευχάριστη έκπληξη", "Δεν ξέρω τι να πω",
        "Το Σάββατο πάμε στη θάλασσα", "Νιώθω άσχημα", "Βαρέθηκα πια",
    )),
    "Turkish": (("cp1254",), (
        "Bugün çok mutluyum", "Neden ağlıyorsun?", "Karanlıktan korkuyorum", "Bu iğrençti", "Annem üzgün",
        "O şoför beni kızdırdı", "Ninemi özledim", "Ne güzel bir sürpriz", "Ne diyeceğimi bilmiyorum",
        "Cumartesi denize gidiyoruz", "Kendimi kötü hissediyorum", "Artık bıktım",
    )),
    "Hebrew": (("cp1255", "iso8859-8"), (
        "אני שמח מאוד היום", "למה אתה בוכה?", "אני מפחד מהחושך", "איזה גועל", "אמא עצובה",
        "הנהג הזה הרגיז אותי", "אני מתגעגע לסבתא", "איזו הפתעה נעימה", "אני לא יודע מה להגיד",
        "בשבת נוסעים לים", "אני מרגיש רע", "נמאס לי מהכול",
    )),
    "Arabic": (("cp1256", "iso8859-6"), (
        "أنا سعيد جدا اليوم", "لماذا تبكي؟", "أخاف من الظلام", "هذا مقرف", "أمي حزينة",
        "أغضبني ذلك السائق", "أشتاق إلى جدتي", "يا لها من مفاجأة جميلة", "لا أعرف ماذا أقول",
        "يوم السبت نذهب إلى البحر", "أشعر بالسوء", "لقد مللت من كل شيء",
    )),
    "Lithuanian": (BALTIC, (
        "Šiandien esu labai laimingas", "Kodėl tu verki?", "Bijau tamsos", "Tai buvo šlykštu", "Mama liūdna",
        "Mane supykdė tas vairuotojas", "Pasiilgau močiutės", "Kokia maloni staigmena", "Nežinau, ką pasakyti",
        "Šeštadienį važiuojame prie jūros", "Jaučiuosi blogai", "Man jau gana šito",
    )),
    "Latvian": (BALTIC, (
        "Šodien esmu ļoti laimīgs", "Kāpēc tu raudi?", "Man bail no tumsas", "Tas bija pretīgi", "Mamma ir bēdīga",
        "Mani sadusmoja tas šoferis", "Man pietrūkst vecmāmiņas", "Kāds jauks pārsteigums", "Nezinu, ko teikt",
        "Sestdien braucam pie jūras", "Es jūtos slikti", "Man jau pietiek",
    )),
    "Japanese": (("shift_jis", "euc_jp"), (
        "今日はとても嬉しいです", "どうして泣いているの？", "暗いところが怖い", "気持ち悪い", "母は悲しそうだ",
        "あの運転手に腹が立った", "祖母が恋しい", "なんて素敵なサプライズ", "何と言えばいいかわからない",
        "土曜日に海へ行きます", "気分が悪い", "もううんざりだ",
    )),
    "Chinese (simplified)": (("gb18030",), (
        "我今天非常高兴", "你为什么哭？", "我怕黑", "真恶心", "妈妈很伤心", "那个司机让我很生气", "我想念奶奶",
        "多么美好的惊喜", "我不知道该说什么", "星期六我们去海边", "我感觉很糟糕", "我受够了这一切",
    )),
    "Chinese (traditional)": (("big5",), (
        "我今天非常高興", "你為什麼哭？", "我怕黑", "真噁心", "媽媽很傷心", "那個司機讓我很生氣", "我想念奶奶",
        "多麼美好的驚喜", "我不知道該說什麼", "星期六我們去海邊", "我感覺很糟糕", "我受夠了這一切",
    )),
    "Korean": (("euc_kr",), (
        "오늘 정말 행복해요", "왜 울고 있어요?", "어두운 곳이 무서워요", "정말 역겹다", "엄마가 슬퍼해요",
        "그 운전사 때문에 화가 났어요", "할머니가 보고 싶어요", "정말 멋진 선물이네요",
        "무슨 말을 해야 할지 모르겠어요",
        "토요일에 바다에 가요", "기분이 나빠요", "이제 지긋지긋해요",
    )),
    "Thai": (("cp874",), (
        "วันนี้ฉันมีความสุขมาก", "ทำไมคุณร้องไห้", "ฉันกลัวความมืด", "น่าขยะแขยง", "แม่เศร้ามาก",
        "คนขับรถทำให้ฉันโกรธ", "ฉันคิดถึงยาย", "ช่างเป็นเรื่องน่าประหลาดใจ", "ฉันไม่รู้จะพูดอะไร",
        "วันเสาร์เราไปทะเล", "ฉันรู้สึกแย่", "ฉันเบื่อแล้ว",
    )),
}  # fmt: skip
