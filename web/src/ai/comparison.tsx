import './ai.css'
import type { ComponentChildren } from 'preact'
import type { Message } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { labelOf } from './models.ts'

/** The answers to one question side by side; on a narrow window they are moved through sideways. */
export function Comparison({
  answers,
  render,
}: {
  answers: readonly Message[]
  render(message: Message): ComponentChildren
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
    <section class="comparison" aria-label={t('ai:comparison', { count: answers.length })} tabIndex={0}>
      {answers.map((answer) => (
        <section key={answer.id} class="comparison-answer" aria-label={labelOf(answer.modelId ?? '')}>
          {render(answer)}
        </section>
      ))}
    </section>
  )
}
