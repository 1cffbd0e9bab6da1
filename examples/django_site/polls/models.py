"""A question, and the choices one may vote for."""

from django.db import models
from django.utils import timezone


class QuestionQuerySet(models.QuerySet["Question"]):
    def published(self) -> "QuestionQuerySet":
        """Without those whose date is still to come."""
        return self.filter(published_at__lte=timezone.now())


class Question(models.Model):
    text = models.CharField(max_length=200)
    published_at = models.DateTimeField("published", default=timezone.now)

    objects = QuestionQuerySet.as_manager()

    class Meta:
        ordering = ["-published_at", "-pk"]

    def __str__(self) -> str:
        return self.text


class Choice(models.Model):
    question = models.ForeignKey(Question, on_delete=models.CASCADE, related_name="choices")
    text = models.CharField(max_length=200)
    votes = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.text
