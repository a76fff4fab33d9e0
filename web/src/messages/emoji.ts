/** The emoji to choose from, by what they show; each is one that the server takes as a reaction. */
export const emoji = {
  smileys:
    '😀 😃 😄 😁 😆 😅 😂 🤣 🙂 🙃 😉 😊 😇 🥰 😍 🤩 😘 😋 😜 🤪 🤗 🤔 🤫 🤨 😐 😏 😒 🙄 😬 😌 😔 😴 🤒 🤕 🤢 🥵 🥶 🤯 🥳 😎 🤓 😕 😟 😮 😲 🥺 😢 😭 😱 😤 😡 🤬 😈 💀 🤡 👻 👽 🤖',
  people: '👍 👎 👌 🤌 ✌️ 🤞 🤟 🤙 👈 👉 👆 👇 ☝️ ✋ 👋 🤚 👏 🙌 🤝 🙏 💪 ✍️ 👀 🧠 🫶 🤷 🤦 🙋 🙇 💁 🕺 💃 🏃 🧘',
  hearts: '❤️ 🧡 💛 💚 💙 💜 🖤 🤍 🤎 💔 💕 💖 💯 💥 💫 💢 💬 💤',
  nature:
    '🐶 🐱 🐭 🐰 🦊 🐻 🐼 🐨 🐯 🦁 🐸 🐵 🐔 🐧 🦉 🦄 🐝 🦋 🐢 🐙 🐳 🌵 🌲 🍀 🌸 🌹 🌻 🍁 🌍 🌙 ⭐ ☀️ ⛅ 🌧️ ⚡ ❄️ 🔥 🌈 🌊',
  food: '🍎 🍌 🍇 🍓 🍑 🥑 🍅 🌽 🍞 🧀 🍳 🍔 🍟 🍕 🌮 🍜 🍣 🍚 🥟 🍦 🍰 🎂 🍪 🍫 ☕ 🍵 🍺 🍷 🥂 🧋',
  activities: '⚽ 🏀 🎾 🏆 🥇 🎯 🎮 🎲 🎸 🎧 🎬 🎨 🎁 🎉 🎊 🎈 🚗 🚲 ✈️ 🚀 ⛵ 🏠 🏖️ ⛰️ 🗺️ ⏰ 📅',
  objects: '💡 💻 📱 📷 🔋 🔑 🔒 🔔 📌 📎 ✏️ 📝 📚 📈 📦 💰 🛒 🔧 🧪 🧭 ✅ ❌ ❓ ❗ ⚠️ ♻️ ➕ 🆗 🏁 🚩',
} as const

export type EmojiCategory = keyof typeof emoji

/** What people react with most, at one press. */
export const quickEmoji = ['👍', '❤️', '😂', '😮', '😢', '🎉'] as const
