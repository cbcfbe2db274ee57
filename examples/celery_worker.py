"""A Celery worker: tasks that call a model, in processes that Celery forks as it likes.

pip install tokentide celery openai
export OPENAI_API_KEY=... TOKENTIDE_KAFKA_BOOTSTRAP=127.0.0.1:9092 TOKENTIDE_SERVICE=summaries
export CELERY_BROKER_URL=redis://127.0.0.1
celery -A celery_worker worker --concurrency 4

Every pool process delivers over a connection of its own. Celery kills a process that exceeds its
hard time limit, and no code runs then: TOKENTIDE_SPOOL_DIR keeps what an outage holds back.
"""

from __future__ import annotations

import os

import openai
from celery import Celery, Task

import tokentide

telemetry = tokentide.instrument()
client = openai.OpenAI()
app = Celery("summaries", broker=os.environ.get("CELERY_BROKER_URL", "memory://"))
app.conf.task_acks_late = True
app.conf.task_ignore_result = True


@app.task(bind=True, max_retries=3, default_retry_delay=1)
def summarise(self: Task, tenant: str, document_id: str, text: str) -> None:
    """Summarise one document; a task that Celery repeats makes calls, and events, of its own."""
    tags = {"document": document_id, "attempt": str(self.request.retries)}
    with tokentide.context(tenant=tenant, feature="summary", prompt=("summarise", "v7"), tags=tags):
        try:
            reply = client.chat.completions.create(
                model="gpt-5-mini",
                messages=[
                    {"role": "system", "content": "Summarise in one sentence."},
                    {"role": "user", "content": text},
                ],
            )
        except openai.RateLimitError as error:
            raise self.retry(exc=error) from error
    summary = reply.choices[0].message.content or ""
    # A check of our own, sent as an evaluation of that answer.
    telemetry.evaluation(
        "one_sentence",
        score=float(summary.count(".") <= 1),
        passed=summary.count(".") <= 1,
        evaluator="code",
        response_id=reply.id,
        tenant=tenant,
    )
