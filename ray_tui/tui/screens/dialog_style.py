"""How dialogs look: part of the app's own stylesheet, which is read once, before there is any dialog.

A screen's own CSS would be scoped to the class that states it.
"""

STYLESHEET = """
Dialog { align: center middle; background: $background; }
Dialog > #sky { dock: top; height: 3; width: 1fr; }
Dialog > #sky > Painted { height: 1; width: 1fr; overflow: hidden; }
Dialog > #ground { dock: bottom; height: 4; width: 1fr; overflow: hidden; }
Dialog.-short > #ground { height: 1; }
Dialog > #box { width: 94%; max-width: 104; height: auto; max-height: 100%; border: round $primary;
                border-title-color: $ray-strong; border-title-style: bold; border-subtitle-color: $foreground;
                padding: 0 1; background: $background; overflow-y: auto;
                scrollbar-size-vertical: 1; }
Dialog #text { height: auto; scrollbar-size-vertical: 1; }
Dialog #text > Static { height: auto; width: 1fr; }
Dialog OptionList { height: auto; max-height: 12; border: none; padding: 0; margin-top: 1;
                    background: $background; scrollbar-size-vertical: 1; }
Dialog OptionList:focus { border: none; background: $background; background-tint: $background 0%; }
Dialog OptionList > .option-list--option-highlighted { background: $ray-cursor; color: $foreground; text-style: none; }
Dialog OptionList:focus > .option-list--option-highlighted { background: $ray-cursor; color: $ray-strong;
                                                             text-style: bold; }
Dialog Input { height: 1; border: none; padding: 0; background: $ray-cursor; }
Dialog Input:focus { border: none; }
Dialog .label { height: auto; max-height: 4; color: $ray-dim; margin-top: 1; }
Dialog #more { display: none; height: 1; color: $ray-warn; }
Dialog #problem { display: none; height: auto; max-height: 3; color: $ray-bad; }
Dialog TextArea { height: 1fr; min-height: 6; border: none; background: $ray-cursor; }
Dialog.-form.-short .label { margin-top: 0; }
Dialog.-form.-short OptionList { margin-top: 0; max-height: 4; }
Dialog.-short TextArea { min-height: 3; }
Dialog.-tall > #box { height: 88%; }
Dialog.-tall #text { height: auto; max-height: 40%; }
Dialog.-plain > #box { border: ascii $primary; scrollbar-size-vertical: 0; }
Dialog.-plain #text, Dialog.-plain OptionList { scrollbar-size-vertical: 0; }
"""
