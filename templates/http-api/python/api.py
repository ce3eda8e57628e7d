"""Greetings over HTTP."""

WORDS = {"de": "Hallo", "en": "Hello", "es": "Hola", "fr": "Bonjour"}


def handler(request, ctx):
    """GET /greetings/{name}?language=fr and POST /greetings {"name": "Ada", "language": "fr"}."""
    if request.method == "POST":
        try:
            given = request.json()
        except ValueError:
            return problem("the body is not JSON")
        if not isinstance(given, dict):
            return problem("the body must be a JSON object")
    else:
        given = {"name": ctx.params["name"], "language": request.query.get("language", ["en"])[0]}

    name, language = given.get("name"), given.get("language", "en")
    if not isinstance(name, str) or not name.strip():
        return problem('"name" must be a text')
    if not isinstance(language, str) or language not in WORDS:
        return problem(f'"language" must be one of {", ".join(WORDS)}')
    ctx.log.info("greeted", language=language)
    return {"greeting": f"{WORDS[language]}, {name.strip()}!"}


def problem(error):
    return {"error": error}, 400
