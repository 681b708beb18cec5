"""First and last names by name group and gender, with a Latin form for e-mail addresses.

A name group is a naming custom ("en", "fr", "sn" ...), not a country: countries.py says which
group a country uses. Names stand in order of popularity. `native:latin` gives a name in its own
script with its romanised form; an underscore stands for a space inside a name. The lists are
common names put together at random, so a full name that some person bears is chance.
"""

import unicodedata

_WOMEN = {
    "en": """Emma Olivia Sarah Emily Jessica Hannah Grace Chloe Megan Rachel Laura Amelia Sophie
        Charlotte Lucy Abigail Natalie Rebecca Katherine Alice Zoe Molly Heather Danielle Naomi
        Jasmine Caitlin Bethany Audrey Holly Fiona Tamara Priya Monique""",
    "fr": """Marie Camille Léa Manon Chloé Julie Sophie Claire Pauline Élodie Juliette Mathilde
        Céline Aurélie Charlotte Inès Lucie Margaux Anaïs Hélène Émilie Noémie Clémence Nathalie
        Isabelle Véronique Amandine Solène Yasmine Agathe""",
    "sn": """Fatou Aminata Awa Mariama Aïssatou Khady Ndèye Coumba Adama Rokhaya Astou Bineta
        Mame_Diarra Sokhna Marème Oumou""",
    "de": """Anna Julia Lena Laura Katharina Sarah Lisa Hannah Sophie Johanna Marie Franziska
        Nina Christina Stefanie Sabine Claudia Petra Jana Miriam Birgit Heike Annika Greta
        Theresa Charlotte Käthe Ayşe Mareike Svenja""",
    "es": """María Lucía Carmen Sofía Paula Laura Marta Valentina Camila Ana Elena Isabel
        Daniela Gabriela Andrea Sara Mariana Raquel Alejandra Beatriz Rocío Pilar Natalia
        Ximena Verónica Inés Mónica Julieta Catalina Noelia""",
    "pt": """Maria Ana Juliana Fernanda Beatriz Camila Larissa Mariana Letícia Amanda Gabriela
        Patrícia Carolina Bruna Luana Inês Catarina Rafaela Isabela Joana Helena Vitória
        Débora Renata Tatiana Sílvia Cláudia Marta Aline Raquel""",
    "ar": """فاطمة:Fatima مريم:Mariam نور:Nour سارة:Sara عائشة:Aisha ياسمين:Yasmin هدى:Huda
        ليلى:Layla آية:Aya سلمى:Salma ريم:Reem هند:Hind منى:Mona دينا:Dina رنا:Rana
        أسماء:Asmaa شيماء:Shaimaa خديجة:Khadija زينب:Zainab لينا:Lina جميلة:Jamila
        سمر:Samar أمل:Amal نادية:Nadia رانيا:Rania حنان:Hanan نورة:Noura لطيفة:Latifa""",
    "ja": """陽菜:Hina 結衣:Yui 美咲:Misaki さくら:Sakura 葵:Aoi 由美子:Yumiko 愛:Ai 真由:Mayu
        恵:Megumi 裕子:Yuko 彩:Aya 奈々:Nana 直美:Naomi 智子:Tomoko 美穂:Miho 久美子:Kumiko
        優花:Yuka 千尋:Chihiro 舞:Mai 遥:Haruka 明日香:Asuka 麻衣:Mai 香織:Kaori 里奈:Rina
        綾乃:Ayano 咲良:Sakura 詩織:Shiori 楓:Kaede""",
    "ko": """서연:Seoyeon 민지:Minji 지우:Jiwoo 수빈:Subin 하은:Haeun 지은:Jieun 유진:Yujin
        예은:Yeeun 은지:Eunji 현주:Hyunju 미영:Miyoung 소영:Soyoung 지현:Jihyun 수진:Sujin
        다은:Daeun 채원:Chaewon 서현:Seohyun 윤아:Yoona 혜진:Hyejin 은영:Eunyoung 나연:Nayeon
        가은:Gaeun 보람:Boram 아름:Areum 지혜:Jihye 정은:Jungeun 하윤:Hayoon 선영:Sunyoung""",
    "zh": """芳:Fang 静:Jing 敏:Min 丽:Li 娜:Na 秀英:Xiuying 婷婷:Tingting 雪:Xue 丹:Dan 燕:Yan
        欣怡:Xinyi 雨桐:Yutong 梓涵:Zihan 佳怡:Jiayi 慧:Hui 玲:Ling 晓梅:Xiaomei 莉:Li
        倩:Qian 思雨:Siyu 诗涵:Shihan 月:Yue 红:Hong 薇:Wei 嘉欣:Jiaxin 琳:Lin 美玲:Meiling
        可馨:Kexin""",
    "tw": """淑芬:Shufen 怡君:Yijun 雅婷:Yating 美玲:Meiling 佳穎:Jiaying 欣怡:Hsinyi 詩涵:Shihhan
        宜蓁:Yichen 家瑜:Chiayu 惠雯:Huiwen 心怡:Hsinyi 婉如:Wanju 佩珊:Peishan 筱涵:Hsiaohan
        思妤:Ssuyu 品妍:Pinyen""",
    "pl": """Anna Katarzyna Magdalena Agnieszka Joanna Zofia Aleksandra Małgorzata Ewa Natalia
        Monika Karolina Weronika Dorota""",
    "it": """Giulia Francesca Chiara Sara Martina Elisa Federica Valentina Silvia Alessia Paola
        Beatrice Ilaria Giorgia""",
}

_MEN = {
    "en": """James Jack Thomas Daniel Michael Matthew William Ryan Benjamin Samuel Joshua Adam
        Oliver Andrew Nathan Christopher Luke Ethan Liam Patrick Robert Sean Aaron Kevin Henry
        Connor Marcus Gareth Trevor Dylan Isaac Declan Malik Arjun""",
    "fr": """Thomas Nicolas Julien Pierre Antoine Lucas Maxime Alexandre Hugo Clément Guillaume
        Mathieu Romain Vincent François Baptiste Étienne Olivier Sébastien Laurent Théo Louis
        Rémi Benoît Fabien Cédric Karim Gaëtan Arnaud Quentin""",
    "sn": """Mamadou Ibrahima Cheikh Ousmane Abdoulaye Moussa Modou Pape Assane Babacar Alioune
        Malick Serigne Lamine Boubacar Demba""",
    "de": """Lukas Jonas Felix Maximilian Paul Michael Stefan Tobias Florian Andreas Christian
        Markus Jan Philipp Sebastian Daniel Matthias Jürgen Wolfgang Uwe Torsten Niklas Moritz
        Björn Fabian Simon Emre Holger Benedikt Günther""",
    "es": """Javier Carlos Alejandro Daniel David Pablo José_Luis Miguel Diego Manuel Andrés
        Sergio Jorge Fernando Juan_Pablo Álvaro Santiago Mateo Rafael Ignacio Raúl Adrián
        Ricardo Iván Rubén Tomás Emilio Gonzalo Héctor Sebastián""",
    "pt": """João Pedro Lucas Gabriel Rafael Bruno Felipe Gustavo Tiago Matheus Rodrigo André
        Leonardo Eduardo Marcelo Diogo Ricardo Paulo Thiago Vinícius Henrique Fábio Caio Luís
        Miguel Danilo Renato Otávio Gonçalo Nuno""",
    "ar": """محمد:Mohamed أحمد:Ahmed علي:Ali عمر:Omar خالد:Khaled يوسف:Youssef محمود:Mahmoud
        مصطفى:Mostafa إبراهيم:Ibrahim حسن:Hassan عبدالله:Abdullah كريم:Karim سعيد:Saeed
        طارق:Tarek ياسر:Yasser فيصل:Faisal سلطان:Sultan راشد:Rashid حمد:Hamad ماجد:Majed
        وليد:Waleed هشام:Hesham سامي:Sami زياد:Ziad بدر:Badr فهد:Fahad عادل:Adel نبيل:Nabil""",
    "ja": """翔太:Shota 大輔:Daisuke 健太:Kenta 拓也:Takuya 蓮:Ren 誠:Makoto 直樹:Naoki 翼:Tsubasa
        浩二:Koji 和也:Kazuya 亮:Ryo 隆:Takashi 悠斗:Yuto 哲也:Tetsuya 洋平:Yohei 健一:Kenichi
        陸:Riku 剛:Tsuyoshi 雄太:Yuta 慎也:Shinya 学:Manabu 修:Osamu 颯太:Sota 海斗:Kaito
        裕介:Yusuke 達也:Tatsuya 純:Jun 勇気:Yuki""",
    "ko": """민준:Minjun 지훈:Jihoon 현우:Hyunwoo 준호:Junho 성민:Sungmin 동현:Donghyun 우진:Woojin
        민수:Minsu 영호:Youngho 상훈:Sanghoon 재현:Jaehyun 도윤:Doyoon 승우:Seungwoo 태현:Taehyun
        정훈:Junghoon 진우:Jinwoo 성호:Sungho 건우:Gunwoo 시우:Siwoo 병철:Byungchul 기현:Kihyun
        용준:Yongjun 준영:Junyoung 하준:Hajun 경수:Kyungsoo 원빈:Wonbin 찬영:Chanyoung
        규민:Kyumin""",
    "zh": """伟:Wei 强:Qiang 磊:Lei 军:Jun 洋:Yang 勇:Yong 杰:Jie 涛:Tao 明:Ming 超:Chao 浩然:Haoran
        子轩:Zixuan 宇航:Yuhang 鹏:Peng 斌:Bin 俊杰:Junjie 建国:Jianguo 志强:Zhiqiang 凯:Kai
        晨:Chen 博文:Bowen 天宇:Tianyu 峰:Feng 龙:Long 文博:Wenbo 嘉豪:Jiahao 海涛:Haitao
        一鸣:Yiming""",
    "tw": """志明:Chihming 家豪:Chiahao 冠宇:Kuanyu 俊宏:Chunhung 承恩:Chengen 建宏:Chienhung
        宗翰:Tsunghan 柏翰:Pohan 彥廷:Yenting 信宏:Hsinhung 哲瑋:Chewei 宇翔:Yuhsiang
        文傑:Wenchieh 明哲:Mingche 品睿:Pinjui 育誠:Yucheng""",
    "pl": """Piotr Krzysztof Tomasz Paweł Michał Jakub Marcin Łukasz Mateusz Adam Grzegorz
        Wojciech Kamil Szymon""",
    "it": """Marco Andrea Luca Matteo Alessandro Davide Stefano Francesco Simone Lorenzo Giovanni
        Riccardo Fabio Nicola""",
}

_LAST = {
    "en": """Smith Jones Williams Brown Taylor Johnson Wilson Davies Evans Thomas Walker Roberts
        Murphy Wright Thompson Green Hall Clarke Miller Harris Martin Campbell Anderson Kelly
        Mitchell Carter Phillips Parker Bennett Collins Bailey Cooper Morgan Reed Hughes Foster
        Byrne Patel Nguyen Garcia""",
    "fr": """Martin Bernard Dubois Thomas Robert Petit Durand Leroy Moreau Simon Laurent Lefebvre
        Michel Girard Roux Fontaine Lambert Mercier Dupuis Chevalier Blanchard Garnier Faure
        Rousseau Henry Gauthier Perrin Morel Lemaire Marchand Benali Peeters Janssens Dumont""",
    "sn": """Diop Ndiaye Fall Sow Ba Gueye Diallo Faye Sarr Sy Mbaye Cissé Seck Thiam Niang
        Camara Kane Touré""",
    "de": """Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Koch
        Bauer Richter Klein Wolf Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann
        Hartmann Lange Werner Krause Lehmann Köhler Huber Gruber Steiner Moser Yılmaz Weiß""",
    "es": """García Martínez López Sánchez Rodríguez Fernández González Pérez Gómez Ruiz Díaz
        Hernández Álvarez Jiménez Moreno Muñoz Romero Torres Navarro Ramírez Domínguez Vargas
        Castro Ortega Delgado Rojas Herrera Medina Guerrero Cruz Iglesias Acosta Peña Molina""",
    "pt": """Silva Santos Oliveira Souza Pereira Lima Carvalho Ferreira Ribeiro Almeida Costa
        Gomes Martins Araújo Rocha Barbosa Alves Cardoso Teixeira Correia Moreira Cavalcanti
        Dias Nunes Mendes Freitas Vieira Monteiro Moura Pinto Lopes Fonseca Marques Coelho""",
    "ar": """حسن:Hassan علي:Ali محمود:Mahmoud إبراهيم:Ibrahim السيد:Al_Sayed العتيبي:Al_Otaibi
        الحربي:Al_Harbi المصري:Al_Masri الغامدي:Al_Ghamdi القحطاني:Al_Qahtani منصور:Mansour
        سالم:Salem الشمري:Al_Shammari يوسف:Youssef عبدالرحمن:Abdelrahman الزهراني:Al_Zahrani
        المنصوري:Al_Mansoori النعيمي:Al_Nuaimi الكعبي:Al_Kaabi المري:Al_Marri فاروق:Farouk
        خليل:Khalil حمدان:Hamdan الدوسري:Al_Dosari الهاجري:Al_Hajri الشهري:Al_Shehri
        المطيري:Al_Mutairi العنزي:Al_Anazi السويدي:Al_Suwaidi الرميثي:Al_Rumaithi بكر:Bakr
        عثمان:Othman سليمان:Suleiman العمري:Al_Omari""",
    "ja": """佐藤:Sato 鈴木:Suzuki 高橋:Takahashi 田中:Tanaka 伊藤:Ito 渡辺:Watanabe 山本:Yamamoto
        中村:Nakamura 小林:Kobayashi 加藤:Kato 吉田:Yoshida 山田:Yamada 佐々木:Sasaki
        山口:Yamaguchi 松本:Matsumoto 井上:Inoue 木村:Kimura 林:Hayashi 斎藤:Saito 清水:Shimizu
        山崎:Yamazaki 森:Mori 池田:Ikeda 橋本:Hashimoto 阿部:Abe 石川:Ishikawa 前田:Maeda
        藤田:Fujita 小川:Ogawa 岡田:Okada 後藤:Goto 長谷川:Hasegawa""",
    "ko": """김:Kim 이:Lee 박:Park 최:Choi 정:Jung 강:Kang 조:Cho 윤:Yoon 장:Jang 임:Lim 한:Han
        오:Oh 서:Seo 신:Shin 권:Kwon 황:Hwang 안:Ahn 송:Song 전:Jeon 홍:Hong 유:Yoo 고:Ko
        문:Moon 양:Yang 손:Son 배:Bae 백:Baek 허:Heo 남:Nam 심:Shim 노:Noh 하:Ha""",
    "zh": """王:Wang 李:Li 张:Zhang 刘:Liu 陈:Chen 杨:Yang 黄:Huang 赵:Zhao 吴:Wu 周:Zhou 徐:Xu
        孙:Sun 马:Ma 朱:Zhu 胡:Hu 郭:Guo 何:He 林:Lin 高:Gao 罗:Luo 郑:Zheng 梁:Liang 谢:Xie
        宋:Song 唐:Tang 许:Xu 韩:Han 冯:Feng 邓:Deng 曹:Cao 彭:Peng 曾:Zeng 欧阳:Ouyang""",
    "tw": """陳:Chen 林:Lin 黃:Huang 張:Chang 李:Lee 王:Wang 吳:Wu 劉:Liu 蔡:Tsai 楊:Yang 許:Hsu
        鄭:Cheng 謝:Hsieh 郭:Kuo 洪:Hung 邱:Chiu 曾:Tseng 賴:Lai 周:Chou 葉:Yeh""",
    "eg": """محمد:Mohamed إبراهيم:Ibrahim حسن:Hassan علي:Ali السيد:El_Sayed محمود:Mahmoud
        عبدالرحمن:Abdelrahman مصطفى:Mostafa المصري:El_Masry فاروق:Farouk منصور:Mansour
        خليل:Khalil شاهين:Shaheen الشامي:El_Shamy عثمان:Osman رشدي:Roshdy النجار:El_Naggar
        سليمان:Soliman عبدالعزيز:Abdelaziz بدوي:Badawy الشناوي:El_Shenawy زكي:Zaki
        حجازي:Hegazy سالم:Salem فؤاد:Fouad عوض:Awad البنا:El_Banna صبري:Sabry شوقي:Shawky
        الطيب:El_Tayeb غانم:Ghanem رمضان:Ramadan""",
    "pl": """Nowak Wójcik Woźniak Mazur Krawczyk Kaczmarek Zając Król Wróbel Stępień Pawlak
        Sikora Baran Duda Szewczyk""",
    "it": """Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco Bruno Gallo
        Conti Costa Giordano Mancini Lombardi""",
}

# Egypt shares first names with the Gulf, but hardly any family names.
_WOMEN["eg"], _MEN["eg"] = _WOMEN["ar"], _MEN["ar"]

# Letters that Unicode does not take apart into an ASCII letter and an accent.
_PLAIN = str.maketrans({"ß": "ss", "ł": "l", "Ł": "L", "ı": "i", "ø": "o", "æ": "ae"})
# German speakers write the umlaut as two letters where only ASCII is allowed.
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


def _mail_form(name: str, group: str) -> str:
    """The lower-case ASCII letters of a Latin name, as they stand in an e-mail address."""
    name = name.lower()
    if group == "de":
        name = name.translate(_UMLAUTS)
    name = unicodedata.normalize("NFKD", name.translate(_PLAIN))
    return "".join(c for c in name if "a" <= c <= "z")


def _parse(group: str, text: str) -> list[tuple[str, str]]:
    pairs = []
    for word in text.split():
        native, _, latin = word.replace("_", " ").partition(":")
        pairs.append((native, _mail_form(latin or native, group)))
    return pairs


GROUPS: tuple[str, ...] = tuple(_LAST)
"""The name groups, in the order of the lists below."""

FIRST: list[list[tuple[str, str]]] = [
    _parse(g, names[g]) for g in GROUPS for names in (_WOMEN, _MEN)
]
"""(name, e-mail form) lists; group number g has its women's at 2 * g, its men's at 2 * g + 1."""

LAST: list[list[tuple[str, str]]] = [_parse(g, _LAST[g]) for g in GROUPS]
"""(name, e-mail form) lists, one for each group."""
