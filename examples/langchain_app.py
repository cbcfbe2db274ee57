"""A LangChain application: one callback records every run of a model in every chain.

pip install tokentide langchain-core
export TOKENTIDE_KAFKA_BOOTSTRAP=127.0.0.1:9092 TOKENTIDE_SERVICE=support
python langchain_app.py "How do I reset my password?"

It runs without a key: the model is LangChain's fake one. Put `ChatOpenAI(...)` there, or any other.
"""

from __future__ import annotations

import sys

from langchain_core.language_models import BaseChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnablePassthrough

import tokentide
from tokentide.bridges.langchain import TokentideCallback

telemetry = tokentide.Telemetry()
callback = TokentideCallback(telemetry)

TOPIC = ChatPromptTemplate.from_template("Name the topic of this question in one word: {question}")
ANSWER = ChatPromptTemplate.from_template("Answer as the {topic} desk of our shop: {question}")


def build_chain(model: BaseChatModel) -> Runnable[dict[str, str], str]:
    """Build two calls of the model below one root: one finds the topic, one answers."""
    topic = TOPIC | model | StrOutputParser()
    return RunnablePassthrough.assign(topic=topic) | ANSWER | model | StrOutputParser()


def fake_model() -> BaseChatModel:
    """Return a model with fixed answers, and token counts as providers report them."""
    usage = {"input_tokens": 21, "output_tokens": 4, "total_tokens": 25}
    answers = (
        AIMessage(text, usage_metadata=usage, response_metadata={"model_name": "gpt-5-mini"})
        for text in ("account", "Use the link on the sign-in page.")
    )
    return GenericFakeChatModel(messages=answers)


def main(question: str) -> None:
    """Ask once and print the answer."""
    chain = build_chain(fake_model())
    with tokentide.context(tenant="acme", feature="support", prompt=("support", "v2")):
        print(chain.invoke({"question": question}, config={"callbacks": [callback]}))
    telemetry.close()


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "How do I reset my password?")
