import './ai.css'
import { type TextKey, t } from '../i18n.ts'
import { client } from '../state/session.ts'

/** Each shows something that the model without any provider can do, and that others can as well. */
const suggestions: readonly TextKey[] = ['ai:suggestHello', 'ai:suggestText', 'ai:suggestCount', 'ai:suggestSum']

/** In place of the messages of an AI chat that has none: a first question by one press. */
export function Suggestions({ conversationId }: { conversationId: string }) {
  return (
    <div class="suggestions">
      <p class="suggestions-title">{t('ai:welcome')}</p>
      <p class="quiet">{t('ai:welcomeHint')}</p>
      <div class="suggestions-list">
        {suggestions.map((key) => (
          <button key={key} type="button" class="button" onClick={() => client.send(conversationId, t(key))}>
            {t(key)}
          </button>
        ))}
      </div>
    </div>
  )
}
