"""python manage.py seed: an administrator and a few questions, so that there is something to look at."""

import os
import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from polls.models import Choice, Question

QUESTIONS = {
    "Which interface does your site use?": ["ASGI", "WSGI", "Both"],
    "Where do you await most?": ["The database", "Another service", "The kettle"],
    "Tabs or spaces?": ["Tabs", "Spaces", "Whatever the formatter says"],
}


class Command(BaseCommand):
    help = "Creates the superuser and some questions; what is there already is left alone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--username", default="admin")
        parser.add_argument(
            "--password",
            default=os.environ.get("DJANGO_SUPERUSER_PASSWORD"),
            help="default: DJANGO_SUPERUSER_PASSWORD, or else a random one, which is printed",
        )

    @transaction.atomic
    def handle(self, *args: Any, username: str, password: str | None, **options: Any) -> None:
        users = get_user_model().objects
        if not users.filter(username=username).exists():
            chosen = password or secrets.token_urlsafe(9)
            users.create_superuser(username, password=chosen)
            shown = "" if password else f" with password {chosen}"
            self.stdout.write(f"created superuser {username}{shown}")
        for text, choices in QUESTIONS.items():
            question, new = Question.objects.get_or_create(text=text)
            if new:
                Choice.objects.bulk_create(Choice(question=question, text=choice) for choice in choices)
                self.stdout.write(f"created question {text}")
