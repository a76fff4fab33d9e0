import './emoji.css'
import { t } from '../i18n.ts'
import { Popup } from '../ui/popup.tsx'
import { type EmojiCategory, emoji } from './emoji.ts'

/** As emoji.css has them. */
const columns = 8
const names = {
  smileys: 'messages:emojiSmileys',
  people: 'messages:emojiPeople',
  hearts: 'messages:emojiHearts',
  nature: 'messages:emojiNature',
  food: 'messages:emojiFood',
  activities: 'messages:emojiActivities',
  objects: 'messages:emojiObjects',
} as const satisfies Record<EmojiCategory, string>

/** Emoji to choose one from, beside the button that asked for it. */
export function EmojiPicker(options: { anchor: Element; onPick(emoji: string): void; onClose(): void }) {
  return (
    <Popup
      anchor={options.anchor}
      label={t('messages:emoji')}
      role="dialog"
      columns={columns}
      onClose={options.onClose}
    >
      <div class="emoji-picker">
        {(Object.keys(emoji) as EmojiCategory[]).map((category) => (
          <section key={category} aria-label={t(names[category])}>
            <h3 class="emoji-category">{t(names[category])}</h3>
            <div class="emoji-grid">
              {emoji[category].split(' ').map((one) => (
                <button key={one} type="button" class="emoji-choice" onClick={() => options.onPick(one)}>
                  {one}
                </button>
              ))}
            </div>
          </section>
        ))}
      </div>
    </Popup>
  )
}
