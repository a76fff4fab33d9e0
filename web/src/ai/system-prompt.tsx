import { useId } from 'preact/hooks'
import { t } from '../i18n.ts'

/** As many characters as the server takes. */
const maxLength = 16_000

/** What the models are told before everything else. */
export function SystemPrompt({ value, onValue }: { value: string; onValue(value: string): void }) {
  const id = useId()
  return (
    <div class="field">
      <label for={id}>{t('ai:systemPrompt')}</label>
      <textarea
        id={id}
        rows={3}
        dir="auto"
        maxLength={maxLength}
        value={value}
        placeholder={t('ai:systemPromptHint')}
        onInput={(event) => onValue(event.currentTarget.value)}
      />
    </div>
  )
}
