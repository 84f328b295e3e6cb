"""From messages to the tokens of a prompt, as the model was taught to be spoken to."""

from typing import Any

from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from answer.engine.context import Context, Unusable


class Template:
    """The chat template that a model's file carries."""

    def __init__(self, context: Context) -> None:
        template = context.metadata("tokenizer.chat_template")
        if not template:
            raise Unusable("it has no chat template. Use an instruction-tuned model.")
        self._context = context
        self._format = Jinja2ChatFormatter(
            template, eos_token=context.special("eos"), bos_token=context.special("bos")
        )

    def text(self, messages: Any) -> str:
        """Return messages (role and content) as one text, up to where the model is to go on."""
        return str(self._formatted(messages).prompt)

    def prompt(self, messages: Any) -> list[int]:
        """Return the tokens of messages (role and content) up to where the model is to go on."""
        made: Any = self._formatted(messages)
        return self._context.tokenize(made.prompt, begin=not made.added_special, special=True)

    def _formatted(self, messages: Any) -> Any:
        """Return what the template makes of messages.

        Templates such as Gemma's and the older Mistral's refuse a system turn: what it says then
        leads the first turn of the user.
        """
        try:
            return self._format(messages=messages)
        except ValueError:
            if len(messages) < 2 or messages[0]["role"] != "system":
                raise
            system, first, *rest = messages
            joined: Any = {**first, "content": f"{system['content']}\n\n{first['content']}"}
            return self._format(messages=[joined, *rest])
