// Touches of a force-sensing pad, offered through Watcher as events: one value for each change.
//
// A sparse variable (kTimestampSample) carries a tick with each value, and is assigned only when
// something happens. `touch` is 1 from the frame in which a touch begins, and 0 from its end on;
// `peak` is assigned at the end, the strongest reading of the touch.

#include <Bela.h>
#include <Watcher.h>
#include <cstdio>

Watcher<int> gTouch("touch", WatcherManager::kTimestampSample);
Watcher<float> gPeak("peak", WatcherManager::kTimestampSample);

static constexpr unsigned int kPadChannel = 0;
static constexpr float kOnLevel = 0.3f;
static constexpr float kOffLevel = 0.2f; // lower, or noise would end and begin it again and again
static constexpr float kShortestSeconds = 0.005f; // contacts bounce

static unsigned int gAudioFramesPerAnalogFrame = 0;
static unsigned int gShortestFrames = 0;
static unsigned int gFramesSinceChange = 0;
static bool gIsTouched = false;
static float gStrongest = 0.f;

static void look(float level)
{
	const bool mayChange = gFramesSinceChange >= gShortestFrames;
	if(gIsTouched && level > gStrongest)
		gStrongest = level;
	if(!gIsTouched && mayChange && level > kOnLevel)
	{
		gIsTouched = true;
		gFramesSinceChange = 0;
		gStrongest = level;
		gTouch = 1;
	}
	else if(gIsTouched && mayChange && level < kOffLevel)
	{
		gIsTouched = false;
		gFramesSinceChange = 0;
		gTouch = 0;
		gPeak = gStrongest;
	}
}

bool setup(BelaContext* context, void*)
{
	if(context->analogFrames == 0 || context->analogInChannels <= kPadChannel)
	{
		fprintf(stderr, "Turn the analog inputs on in the project's settings.\n");
		return false;
	}
	if(context->analogFrames > context->audioFrames)
	{
		fprintf(stderr, "Choose four or eight analog channels in the project's settings.\n");
		return false;
	}
	gAudioFramesPerAnalogFrame = context->audioFrames / context->analogFrames;
	gShortestFrames = kShortestSeconds * context->audioSampleRate;
	gFramesSinceChange = gShortestFrames;

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
		++gFramesSinceChange;
		if(n % gAudioFramesPerAnalogFrame == 0)
			look(analogRead(context, n / gAudioFramesPerAnalogFrame, kPadChannel));
	}
}

void cleanup(BelaContext*, void*)
{
}
