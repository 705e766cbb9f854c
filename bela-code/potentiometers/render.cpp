// Two potentiometers, offered to other machines through Watcher.
//
// The clock of this sketch is the audio frame: tick() gets the frame's number, and setup() declares
// the audio sample rate. So one tick is 1 / 44100 s, as declared, and a stream scheduled to start
// 44100 ticks from now starts in one second. A sketch that ticks once per analog frame instead runs
// at half the rate it declares, and whoever takes the declared rate at its word is off by a factor
// of two.

#include <Bela.h>
#include <Watcher.h>
#include <cstdio>

Watcher<float> pot1("pot1");
Watcher<float> pot2("pot2");

static constexpr unsigned int kPot1Channel = 0;
static constexpr unsigned int kPot2Channel = 1;

static unsigned int gAudioFramesPerAnalogFrame = 0;

bool setup(BelaContext* context, void*)
{
	if(context->analogFrames == 0 || context->analogInChannels <= kPot2Channel)
	{
		fprintf(stderr, "Turn the analog inputs on in the project's settings.\n");
		return false;
	}
	if(context->analogFrames > context->audioFrames)
	{
		// With two analog channels there are two analog frames to an audio frame, and no tick
		// for every other one.
		fprintf(stderr, "Choose four or eight analog channels in the project's settings.\n");
		return false;
	}
	gAudioFramesPerAnalogFrame = context->audioFrames / context->analogFrames;

	WatcherManager* watchers = Bela_getDefaultWatcherManager();
	watchers->getGui().setup(context->projectName);
	watchers->setup(context->audioSampleRate);
	return true;
}

void render(BelaContext* context, void*)
{
	for(unsigned int n = 0; n < context->audioFrames; ++n)
	{
		// First the tick, then the values: they belong to this frame.
		Bela_getDefaultWatcherManager()->tick(context->audioFramesElapsed + n);

		// The analog inputs are sampled less often than the audio ones. Only new values are
		// assigned, so none is sent twice.
		if(n % gAudioFramesPerAnalogFrame == 0)
		{
			const unsigned int analogFrame = n / gAudioFramesPerAnalogFrame;
			pot1 = analogRead(context, analogFrame, kPot1Channel);
			pot2 = analogRead(context, analogFrame, kPot2Channel);
		}
	}
}

void cleanup(BelaContext*, void*)
{
}
