"""The pages. The same code runs under ASGI and WSGI; only a stream has to know which of the two it is."""

import csv
from collections.abc import AsyncIterator, Iterator

from django.core.handlers.asgi import ASGIRequest
from django.db.models import F, QuerySet, Sum
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from .models import Choice, Question

VOTED = "voted"  # the session's list of questions this visitor has answered


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    questions = Question.objects.published().annotate(votes=Sum("choices__votes", default=0))
    questions = questions.order_by("-published_at", "-pk")[:50]  # a grouped query does not follow the model's ordering
    return render(request, "polls/index.html", {"questions": questions, "voted": request.session.get(VOTED, [])})


@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    question = get_object_or_404(Question.objects.published(), pk=pk)
    if pk in request.session.get(VOTED, []):
        return redirect("polls:results", pk)
    return render(request, "polls/detail.html", {"question": question})


@require_POST
def vote(request: HttpRequest, pk: int) -> HttpResponse:
    question = get_object_or_404(Question.objects.published(), pk=pk)
    voted = request.session.get(VOTED, [])
    if pk in voted:
        return redirect("polls:results", pk)
    choice = question.choices.filter(pk=_number(request.POST.get("choice")))
    # F(): the database adds, so that two votes at the same moment are two votes.
    if not choice.update(votes=F("votes") + 1):
        context = {"question": question, "error": "Please select one of the answers."}
        return render(request, "polls/detail.html", context, status=422)
    request.session[VOTED] = [*voted, pk]
    return redirect("polls:results", pk)


@require_GET
def results(request: HttpRequest, pk: int) -> HttpResponse:
    question = get_object_or_404(Question.objects.published(), pk=pk)
    choices = list(question.choices.all())
    total = sum(choice.votes for choice in choices)
    return render(request, "polls/results.html", {"question": question, "choices": choices, "total": total})


@require_GET
def export(request: HttpRequest) -> StreamingHttpResponse:
    """Every choice and its votes as CSV, streamed: the table is never in memory as a whole."""
    lines = _lines_async() if isinstance(request, ASGIRequest) else _lines()
    headers = {"Content-Disposition": 'attachment; filename="polls.csv"'}
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


class _Line:
    """A file whose write gives the text back: what csv.writer's writerow then returns."""

    def write(self, text: str) -> str:
        return text


_writer = csv.writer(_Line())
_HEAD = _writer.writerow(["question", "choice", "votes"])


def _choices() -> QuerySet[Choice]:
    published = Choice.objects.filter(question__published_at__lte=timezone.now())
    return published.select_related("question").order_by("question_id", "pk")


def _line(choice: Choice) -> str:
    return _writer.writerow([_plain(choice.question.text), _plain(choice.text), choice.votes])


def _plain(cell: str) -> str:
    """A spreadsheet takes a text that begins like this for a formula, and these texts come from people."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _lines() -> Iterator[str]:
    yield _HEAD
    yield from map(_line, _choices().iterator(chunk_size=500))


async def _lines_async() -> AsyncIterator[str]:
    yield _HEAD
    async for choice in _choices().aiterator(chunk_size=500):
        yield _line(choice)


def _number(text: str | None) -> int:
    """A row id from a form; 0, which no row has, for everything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else 0
