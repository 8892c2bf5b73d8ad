"""Five plain sentences in nine languages, aligned: running text without a download.

The sentences were written for this kit, in English first. No native speaker has checked
the others yet. They are short and ordinary on purpose: there is little in them to get
wrong, and little to measure. If you speak one of these languages, read it and tell us.
"""

__all__ = ["SENTENCES"]

# By the code of the language; sentence i says the same in all of them, on its own.
SENTENCES: dict[str, tuple[str, ...]] = {
    "en": (
        "Every morning the children walk to school along the river.",
        "The rain came late this year, and the farmers waited for three weeks.",
        "My grandmother sells tomatoes, onions and fish at the market.",
        "A good teacher listens before answering.",
        "When the power goes out, we tell each other stories in the dark.",
    ),
    "fr": (
        "Chaque matin, les enfants vont à l'école à pied en longeant la rivière.",
        "La pluie est venue tard cette année, et les agriculteurs ont attendu trois "
        "semaines.",
        "Ma grand-mère vend des tomates, des oignons et du poisson au marché.",
        "Un bon professeur écoute avant de répondre.",
        "Quand l'électricité est coupée, nous nous racontons des histoires dans le "
        "noir.",
    ),
    "es": (
        "Cada mañana los niños van a pie a la escuela por la orilla del río.",
        "La lluvia llegó tarde este año, y los agricultores esperaron tres semanas.",
        "Mi abuela vende tomates, cebollas y pescado en el mercado.",
        "Un buen maestro escucha antes de responder.",
        "Cuando se va la luz, nos contamos historias en la oscuridad.",
    ),
    "pt": (
        "Todas as manhãs as crianças vão a pé para a escola ao longo do rio.",
        "A chuva chegou tarde este ano, e os agricultores esperaram três semanas.",
        "A minha avó vende tomates, cebolas e peixe no mercado.",
        "Um bom professor escuta antes de responder.",
        "Quando falta a luz, contamos histórias uns aos outros no escuro.",
    ),
    "ru": (
        "Каждое утро дети идут пешком в школу вдоль реки.",
        "В этом году дожди начались поздно, и крестьяне ждали три недели.",
        "Моя бабушка продаёт на рынке помидоры, лук и рыбу.",
        "Хороший учитель слушает, прежде чем ответить.",
        "Когда отключают свет, мы рассказываем друг другу истории в темноте.",
    ),
    "ar": (
        "كل صباح يمشي الأطفال إلى المدرسة على طول النهر.",
        "جاء المطر متأخرا هذا العام، وانتظر المزارعون ثلاثة أسابيع.",
        "تبيع جدتي الطماطم والبصل والسمك في السوق.",
        "المعلم الجيد يستمع قبل أن يجيب.",
        "عندما تنقطع الكهرباء، نروي لبعضنا القصص في الظلام.",
    ),
    "zh": (
        "每天早上，孩子们沿着河走路去上学。",
        "今年雨来得晚，农民们等了三个星期。",
        "我奶奶在市场上卖西红柿、洋葱和鱼。",
        "好老师先倾听，再回答。",
        "停电的时候，我们在黑暗中互相讲故事。",
    ),
    "hi": (
        "हर सुबह बच्चे नदी के किनारे-किनारे पैदल स्कूल जाते हैं।",
        "इस साल बारिश देर से आई, और किसानों ने तीन हफ़्ते इंतज़ार किया।",
        "मेरी दादी बाज़ार में टमाटर, प्याज़ और मछली बेचती हैं।",
        "अच्छा शिक्षक जवाब देने से पहले सुनता है।",
        "जब बिजली चली जाती है, तो हम अँधेरे में एक-दूसरे को कहानियाँ सुनाते हैं।",
    ),
    "sw": (
        "Kila asubuhi watoto hutembea kwenda shuleni kando ya mto.",
        "Mvua ilichelewa mwaka huu, na wakulima walisubiri kwa wiki tatu.",
        "Bibi yangu huuza nyanya, vitunguu na samaki sokoni.",
        "Mwalimu mzuri husikiliza kabla ya kujibu.",
        "Umeme unapokatika, tunasimuliana hadithi gizani.",
    ),
}
