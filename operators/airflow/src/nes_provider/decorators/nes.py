"""``@task.nes``: a function that works out the parameters of a notebook."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    DecoratedOperator,
    context_merge,
    determine_kwargs,
    task_decorator_factory,
)

from nes_provider.operators.nes import NesOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, TaskDecorator


class _NesDecoratedOperator(DecoratedOperator, NesOperator):
    """
    Runs a notebook with the parameters that a function returns, added to those given.

    :param python_callable: the function; it returns a dictionary, or nothing.
    """

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, *NesOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **NesOperator.template_fields_renderers,
    }
    custom_operator_name = "@task.nes"
    overwrite_rtif_after_execution = True

    def __init__(
        self,
        *,
        python_callable: Callable,
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **kwargs)

    def execute(self, context: Context) -> Any:
        """Call the function and run the notebook."""
        return self._begin(context)

    def _begin(self, context: Context) -> Any:
        context_merge(context, self.op_kwargs)
        returned = self.python_callable(*self.op_args, **determine_kwargs(self.python_callable, self.op_args, context))
        if returned is not None and not isinstance(returned, Mapping):
            returned_type, name = type(returned).__name__, self.python_callable.__name__
            raise TypeError(
                f"A @task.nes function returns the notebook's parameters as a dictionary, or None; {name} returned {returned_type}."
            )
        self.parameters = {**(self.parameters or {}), **(returned or {})}
        return super()._begin(context)


def nes_task(python_callable: Callable | None = None, **kwargs: Any) -> TaskDecorator:
    """
    Make a function into a task that runs a notebook with the parameters that it returns.

    :param python_callable: the function.
    """
    return task_decorator_factory(python_callable=python_callable, decorated_operator_class=_NesDecoratedOperator, **kwargs)
